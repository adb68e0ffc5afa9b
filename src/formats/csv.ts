import { LabelError } from '../errors.js';

/** Fields of the longest line. */
const MOST_FIELDS = 2 ** 14;

/** One record and the line it begins on, counted from 1. */
export interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Reads comma-separated values (RFC 4180): quoted fields may hold separators, doubled quotes and line ends. Takes LF, CRLF and a
 * byte order mark; skips empty lines. One record is held at a time, so that a reader may stop at the first that is wrong.
 * @param name for messages
 * @param separator one character
 * @throws LabelError with the line, for a quote that is not closed or stands inside a plain field, or a line of absurdly many fields
 */
export function* parseCsv(text: string, name: string, separator = ','): Generator<CsvRecord, undefined> {
  const stop = new RegExp(`["\\r\\n${separator === '|' ? '\\|' : separator}]`, 'g');
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  let line = 1;
  let start = 1;
  let fields: string[] = [];
  let quoted = false;

  /** @returns one field; `at` moves to what ends it */
  const field = (): string => {
    quoted = text[at] === '"';
    const begin = at;
    if (!quoted) {
      stop.lastIndex = at;
      at = stop.exec(text)?.index ?? text.length;
      return text.slice(begin, at);
    }
    do {
      const close = text.indexOf('"', at + 1);
      if (close < 0) throw new LabelError(`${name} line ${line}: a quote that is not closed`);
      at = close + 1;
    } while (text[at] === '"');
    return text.slice(begin + 1, at - 1).replaceAll('""', '"');
  };

  while (at < text.length || fields.length > 0) {
    const value = field();
    if (fields.push(value) > MOST_FIELDS) throw new LabelError(`${name} line ${line}: more than ${MOST_FIELDS} fields`);
    const end = text[at] ?? '';
    if (end !== separator && end !== '\r' && end !== '\n' && end !== '') {
      throw new LabelError(`${name} line ${line}: a quote that does not enclose a whole field`);
    }
    if (quoted) for (let i = value.indexOf('\n'); i >= 0; i = value.indexOf('\n', i + 1)) line += 1;
    at += end === '\r' && text[at + 1] === '\n' ? 2 : 1;
    if (end === separator) continue;
    if (fields.length > 1 || value !== '' || quoted) yield { line: start, fields };
    fields = [];
    line += 1;
    start = line;
  }
  return undefined;
}

/** The lines of a text (LF, CRLF or CR) with their numbers, one at a time. */
export function* linesOf(text: string): Generator<readonly [number: number, line: string], undefined> {
  const end = /\r\n|\n|\r/g;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  for (let number = 1; at <= text.length; number++) {
    end.lastIndex = at;
    const found = end.exec(text);
    yield [number, text.slice(at, found?.index ?? text.length)];
    at = found === null ? text.length + 1 : end.lastIndex;
  }
  return undefined;
}

/** Text that spreadsheets run as a formula; numbers are none. */
const isFormula = (text: string): boolean => /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text));

/** @returns a field of a CSV file (RFC 4180); an apostrophe stands before text that a spreadsheet would run */
export function csvField(value: string | number | boolean): string {
  const text = typeof value === 'string' && isFormula(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
