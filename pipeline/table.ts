const CODES = { bold: '1', dim: '2', green: '32' } as const;
export type Look = keyof typeof CODES;

/** One row of a table and how a terminal shows it. */
export interface TableRow {
  readonly cells: readonly string[];
  readonly looks?: readonly Look[];
}

const NUMBER = /^[-–+]?[\d.,]+(e[-+]?\d+)?( (%|M|MB))?$/;
const GAP = '  ';

/**
 * @param width columns of the terminal, undefined where there is none: then no line is cut and nothing is coloured
 * @param spare columns that are left out, in this order, where the lines do not fit, before any is cut
 * @returns the lines of a table; columns of numbers stand to the right
 */
export function table(
  headers: readonly string[],
  rows: readonly TableRow[],
  width?: number,
  spare: readonly number[] = [],
): string[] {
  const columns = headers.map((header, k) => {
    const cells = rows.map(({ cells }) => cells[k] ?? '');
    const right =
      cells.every((cell) => cell === '' || cell === '–' || NUMBER.test(cell)) && cells.some((cell) => cell !== '');
    return { size: Math.max(header.length, ...cells.map((cell) => cell.length)), right };
  });
  const total = columns.reduce((sum, { size }) => sum + size, GAP.length * (columns.length - 1));
  const [first, ...others] = spare;
  if (first !== undefined && width !== undefined && total > width - 1) {
    const rest = <T>(cells: readonly T[]): T[] => cells.filter((_, k) => k !== first);
    return table(
      rest(headers),
      rows.map((row) => ({ ...row, cells: rest(row.cells) })),
      width,
      others.map((k) => (k > first ? k - 1 : k)),
    );
  }
  const line = (cells: readonly string[], looks: readonly Look[] = []): string => {
    const padded = columns.map(({ size, right }, k) => {
      const cell = cells[k] ?? '';
      return right ? cell.padStart(size) : cell.padEnd(size);
    });
    const whole = padded.join(GAP).trimEnd();
    if (width === undefined) return whole;
    const fitting = whole.length > width - 1 ? `${whole.slice(0, width - 2)}…` : whole;
    return looks.length === 0 ? fitting : `\x1b[${looks.map((look) => CODES[look]).join(';')}m${fitting}\x1b[0m`;
  };
  const rule = width === undefined ? [] : [line(['─'.repeat(Math.min(total, width - 1))], ['dim']).replace(/ +/g, '')];
  return [line(headers, ['bold']), ...rule, ...rows.map(({ cells, looks }) => line(cells, looks))];
}
