import { kebab } from '../src/options/check.js';
import { expected, placeholder } from '../src/options/rules.js';
import type { OptionRow } from '../src/options/table.js';

const text = (row: OptionRow, value: unknown): string => {
  if (value === null || (Array.isArray(value) && value.length === 0)) return 'none';
  if (row.type === 'number' && typeof value === 'number') return String(value / (row.unit?.is ?? 1));
  return String(value);
};

/** @returns how help shows a default; empty where there is none */
export function shownDefault(row: OptionRow): string {
  if (row.defaultText !== undefined) return row.defaultText;
  const value = row.typedDefault ?? row.default;
  if (value === undefined) return '';
  const others = Object.entries(row.defaults ?? {}).map(([optimizer, one]) => `, ${optimizer} ${text(row, one)}`);
  return `${text(row, value)}${others.join('')}`;
}

/** @returns what a value must be, where its placeholder does not say it; empty of texts and switches */
export function shownRange(row: OptionRow): string {
  if (['text', 'texts', 'switch', 'axes', 'hook', 'plan'].includes(row.type)) return '';
  if (row.type === 'choice' && placeholder(row) !== 'WHICH') return '';
  return expected(row, true)
    .replace(/^a number (of MiB )?|^a (?=whole)/, '')
    .replace('whole number ', 'whole, ');
}

/** @returns a flag with its value: `--learning-rate, --lr N` */
export function shownFlag(row: OptionRow): string {
  const value = row.value ?? placeholder(row);
  if (row.positional === true) return kebab(row.name).toUpperCase();
  const names = [kebab(row.name), ...(row.aliases ?? [])].map((name) => `--${name}`).join(', ');
  return value === '' ? names : `${names} ${value}`;
}

/** @returns what help says of an option behind its one line: range and default, or that it must be given */
export function shownFacts(row: OptionRow): string {
  const fallback = shownDefault(row);
  const isNeeded = row.required === true && row.typedDefault === undefined;
  const facts = [
    shownRange(row),
    isNeeded ? 'required' : fallback === '' || row.type === 'switch' ? '' : `default: ${fallback}`,
  ];
  const said = facts.filter((fact) => fact !== '').join('; ');
  return said === '' ? '' : ` [${said}]`;
}
