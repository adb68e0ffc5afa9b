import { appendFileSync } from 'node:fs';

/** What a run has measured: several things in turns, in one unit. */
export interface Table {
  readonly title: string;
  /** How it was measured, in a sentence or two. */
  readonly text: string;
  /** What repeats it. */
  readonly command: string;
  readonly unit: 'images/s' | 's' | 'ms' | 'MB' | 'times';
  readonly rows: readonly Row[];
  /** Names of rows that the others are compared with. */
  readonly over: readonly string[];
  /** Versions of what was compared. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface Row {
  readonly name: string;
  /** One for each round, in their order. */
  readonly values: readonly number[];
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Three digits. */
export const shown = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value.toPrecision(value >= 1 ? 3 : 2);

/**
 * @returns how many times a row is what another is, as the median of the rounds' own ratios: what slows a round slows both. Where the
 * rounds differ in number, the ratio of the medians
 */
export function ratio(row: Row, over: Row): number {
  if (row.values.length !== over.values.length) return median(row.values) / median(over.values);
  return median(row.values.map((value, i) => value / (over.values[i] ?? Number.NaN)));
}

/** @returns a table's lines in Markdown: the median, the least and the most of each row, and its ratios */
export function markdown({ rows, over, unit }: Table): string[] {
  const references = over.flatMap((name) => rows.find((row) => row.name === name) ?? []);
  const head = ['', `median, ${unit}`, 'least to most', ...references.map(({ name }) => `÷ ${name}`)];
  const lines = rows.map((row) => {
    const [least, most] = [Math.min(...row.values), Math.max(...row.values)];
    const spread = row.values.length > 1 ? `${shown(least)} to ${shown(most)}` : '';
    const ratios = references.map((other) => (other === row ? '' : ratio(row, other).toFixed(2)));
    return `| ${[row.name, shown(median(row.values)), spread, ...ratios].join(' | ')} |`;
  });
  return [`| ${head.join(' | ')} |`, `|---|${'---:|'.repeat(head.length - 1)}`, ...lines];
}

/** Prints a table, and keeps it for `make bench` where that runs the program: as a line of $PERMAFROST_BENCH. */
export function tell(table: Table): void {
  const width = Math.max(...table.rows.map(({ name }) => name.length));
  const references = table.over.flatMap((name) => table.rows.find((row) => row.name === name) ?? []);
  const versions = Object.entries(table.versions).map(([name, version]) => `${name} ${version}`);
  console.log(`${table.title} (${[table.unit, ...versions].join(', ')})`);
  for (const row of table.rows) {
    const [least, most] = [Math.min(...row.values), Math.max(...row.values)];
    const spread = row.values.length > 1 ? `${shown(least)} to ${shown(most)}` : '';
    const ratios = references
      .filter((other) => other !== row)
      .map((other) => `${ratio(row, other).toFixed(2)} x ${other.name}`);
    console.log(
      `  ${row.name.padEnd(width)} ${shown(median(row.values)).padStart(7)}  ${[spread, ...ratios].filter(Boolean).join(', ')}`,
    );
  }
  const file = process.env.PERMAFROST_BENCH;
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(table)}\n`);
}

/** Whether little is measured, to see that all runs: `QUICK=1`. */
export const QUICK = process.env.QUICK !== undefined && process.env.QUICK !== '' && process.env.QUICK !== '0';
