import { LabelError } from '../errors.js';

/** One record and the line it begins on, counted from 1. */
export interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Reads comma-separated values (RFC 4180): quoted fields may hold commas, doubled quotes and line ends. Takes LF, CRLF and a
 * byte order mark; skips empty lines.
 * @param name for messages
 * @throws LabelError with the line, for a quote that is not closed or stands inside a plain field
 */
export function parseCsv(text: string, name: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  // One field and what ends it: quoted or plain, then a comma, a line end, or the end of the text.
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/y;
  field.lastIndex = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  let line = 1;
  let start = 1;
  let fields: string[] = [];
  while (field.lastIndex < text.length || fields.length > 0) {
    const match = field.exec(text);
    if (match === null) throw new LabelError(`${name} line ${line}: a quote that does not enclose a whole field`);
    const [, quoted, plain, end] = match;
    fields.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    line += quoted === undefined ? 0 : (quoted.match(/\n|\r(?!\n)/g)?.length ?? 0);
    if (end === ',') continue;
    if (fields.length > 1 || fields[0] !== '' || quoted !== undefined) records.push({ line: start, fields });
    fields = [];
    if (end === '') break;
    line += 1;
    start = line;
  }
  return records;
}
