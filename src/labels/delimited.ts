import { LabelError } from '../errors.js';
import { type CsvRecord, linesOf, parseCsv } from '../formats/csv.js';
import { tidy } from './cell.js';
import { isPathName } from './column-names.js';
import { IMAGE_NAME, type LabelTable } from './table.js';

const SEPARATORS = [
  [',', 'CSV'],
  [';', 'CSV with ;'],
  ['\t', 'tab-separated text'],
  ['|', 'CSV with |'],
] as const;

/** Rows of the longest label file. */
const MOST_ROWS = 2 ** 22;
/** A spreadsheet has so many rows, most of them empty. */
const MOST_BLANK = 2 ** 20;
/** What Excel takes for the separator, and others write for it. */
const SEPARATOR_LINE = /^\uFEFF?sep=(.)\r?\n/;
/** Lines that a guess looks at. */
const LOOKED_AT = 100;
/** A path that ends like an image's, or one without spaces; then what it is. */
const PATH_AND_REST =
  /^(.*?\.(?:jpe?g|jpe|jfif|png|gif|webp|bmp|tiff?|avif|hei[cf]|jxl|jp2|ppm|pgm)|\S+)[ \t]+(\S.*)$/i;

/**
 * Reads text of records: fields between commas, semicolons, tabs or bars, whichever gives all records as many fields; or a path, a
 * space and a label on each line. A first record that holds the name of an image is no header.
 * @param name for messages
 * @throws LabelError with the line of a record that does not fit
 */
export function delimitedTable(text: string, name: string): LabelTable {
  if (text.trim() === '') throw new LabelError(`${name} is empty: expected a header with path or sha256, and label`);
  const said = SEPARATOR_LINE.exec(text)?.[1];
  const separated = said === undefined ? separatorOf(text, name) : SEPARATORS.find(([one]) => one === said);
  if (separated === null || separated === undefined) return spacedTable(text, name);
  const [separator, kind] = separated;
  const records = bounded(parseCsv(text, name, separator), name);
  return headed(said === undefined ? records : records.slice(1), kind, name);
}

/** Records that hold anything, with their fields tidied. @throws LabelError where there are absurdly many, before they are all held */
function bounded(records: Iterable<CsvRecord>, name: string): CsvRecord[] {
  const all: CsvRecord[] = [];
  let blank = 0;
  for (const { line, fields } of records) {
    const tidied = fields.map(tidy);
    // Spreadsheets write such rows below the last one.
    if (tidied.every((field) => field === '')) {
      if (++blank <= MOST_BLANK) continue;
      throw new LabelError(`${name} line ${line}: more than ${MOST_BLANK} rows that hold nothing: delete them`);
    }
    if (all.push({ line, fields: tidied }) > MOST_ROWS) {
      throw new LabelError(`${name} line ${line}: at most ${MOST_ROWS} rows are read, so split the file`);
    }
  }
  return all;
}

function headed(records: readonly CsvRecord[], kind: string, name: string): LabelTable {
  const [first, ...rest] = records;
  const width = first?.fields.length ?? 0;
  const uneven = rest.find(({ fields }) => fields.length !== width);
  if (uneven !== undefined) {
    throw new LabelError(
      `${name} line ${uneven.line}: ${uneven.fields.length} fields where the header has ${width} (${kind})`,
    );
  }
  const bare = isRecord(first?.fields ?? []);
  return {
    kind: bare ? `${kind}, no header` : kind,
    unit: 'line',
    columns: bare ? null : (first?.fields ?? []),
    rows: (bare ? records : rest).map(({ line, fields }) => ({ line, cells: fields })),
  };
}

/** Whether a first record holds an image already, so that it is no header. */
const isRecord = (fields: readonly string[]): boolean =>
  fields.some((field) => IMAGE_NAME.test(field) || /^[0-9a-f]{64}$/i.test(field));

/** @returns the separator, and what such text is called; null for none of them */
function separatorOf(text: string, name: string): readonly [string, string] | null {
  const head = text.split('\n', LOOKED_AT + 1).slice(0, LOOKED_AT);
  // What follows the last whole line may be half a record; with a quoted line end, all of it may be.
  const sample = head.join('\n');
  const seen = SEPARATORS.map(([separator, kind]) => {
    const records = recordsOf(sample, name, separator);
    const width = records?.[0]?.fields.length ?? 0;
    const alike = records === null ? 0 : records.filter(({ fields }) => fields.length === width).length;
    const titled = records?.[0]?.fields.some((field) => isPathName(field)) ?? false;
    return { separator, kind, width, share: records === null ? 0 : alike / records.length, titled };
  }).filter(({ width }) => width >= 2);
  seen.sort((a, b) => Number(b.share === 1) - Number(a.share === 1) || Number(b.titled) - Number(a.titled));
  const [best] = seen;
  if (best !== undefined && (best.share === 1 || best.titled)) return [best.separator, best.kind];
  if (spaced(head) !== null) return null;
  return best === undefined ? null : [best.separator, best.kind];
}

function recordsOf(sample: string, name: string, separator: string): CsvRecord[] | null {
  try {
    return [...parseCsv(sample, name, separator)];
  } catch (error) {
    if (!(error instanceof LabelError)) throw error;
    // A quote that is open at the end of the sample says nothing about the separator.
    const first = sample.split('\n', 1).join();
    return [{ line: 1, fields: first.split(separator) }];
  }
}

const spaced = (lines: readonly string[]): RegExpExecArray[] | null => {
  const found = lines.flatMap((line) => (line.trim() === '' ? [] : [PATH_AND_REST.exec(line.trim())]));
  return found.every((one) => one !== null) ? (found as RegExpExecArray[]) : null;
};

function spacedTable(text: string, name: string): LabelTable {
  const records = function* (): Generator<CsvRecord> {
    for (const [line, source] of linesOf(text)) {
      if (source.trim() === '') continue;
      const found = PATH_AND_REST.exec(source.trim());
      if (found === null) {
        throw new LabelError(
          `${name} line ${line}: expected a path and a label, or a header with path or sha256, and label`,
        );
      }
      yield { line, fields: [found[1] ?? '', found[2] ?? ''] };
    }
  };
  return headed(bounded(records(), name), 'lines of path and label', name);
}
