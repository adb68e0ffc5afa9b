import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { flagOf, kebab, typedOptions } from '../src/options/check.js';
import { type CommandName, typedCommands } from '../src/options/commands.js';
import { OPTIONS, type OptionRow } from '../src/options/table.js';
import { shownDefault, shownFlag, shownRange } from './shown.js';

// Pages of docs/ that are made from the table of options: `npm run docs` writes them, a test compares.

const cell = (text: string): string => text.replaceAll('|', '\\|');
const code = (text: string): string => (text === '' ? '' : `\`${cell(text)}\``);
const needs = (row: OptionRow): string =>
  row.needs === undefined
    ? ''
    : `; ${row.needs.says.replace(/\{(\w+)\}/g, (_, name: string) => `\`--${kebab(name)}\``)}`;
const isRequired = (row: OptionRow): boolean => row.required === true && row.typedDefault === undefined;

/** @returns docs/commands.md: each command with its usage, examples and flags */
export function commandsPage(): string {
  const sections = typedCommands.map((command) => {
    const rows = typedOptions(command.name as CommandName);
    const usage = ['permafrost', command.name, command.usage, '[options]'].filter(Boolean).join(' ');
    const flags = rows.filter(({ positional }) => positional !== true);
    const must = flags.filter(isRequired).map((row) => code(shownFlag(row)));
    const may = flags.filter((row) => !isRequired(row)).map((row) => code(flagOf(row)));
    return [
      `## ${command.name}`,
      `${command.describe}.`.replace(/^./, (first) => first.toUpperCase()),
      ['```sh', usage, ...command.examples.map(([line, what]) => `${line}   # ${what}`), '```'].join('\n'),
      [
        must.length > 0 ? `Must be given: ${must.join(', ')}.` : '',
        may.length > 0 ? `May be given: ${may.join(', ')}.` : '',
      ]
        .filter(Boolean)
        .join(' '),
    ]
      .filter(Boolean)
      .join('\n\n');
  });
  return `${[
    '# Commands',
    'This page is written by `npm run docs` from the table of options. `permafrost COMMAND --help` prints the same; [options.md](options.md) says what each option is. What people read goes to stderr; `--json` prints one object on stdout (`predict` and `classify`: one a line). Exit codes: 0 done, 2 wrong use, 1 whatever is found when running.',
    'What stands behind `--` is never an option: `permafrost predict --head first -- -odd-name.jpg`. Options that have no effect beside the others are refused.',
    ...sections,
  ].join('\n\n')}\n`;
}

/** Rows that differ in nothing but their commands are one line. */
function merged(rows: readonly OptionRow[]): OptionRow[] {
  const found = new Map<string, OptionRow>();
  for (const { commands, ...row } of rows) {
    const key = JSON.stringify([row.name, row.describe, row.type, shownDefault(row as OptionRow), row.needs?.says]);
    const same = found.get(key);
    found.set(key, { ...(row as OptionRow), commands: [...(same?.commands ?? []), ...commands] });
  }
  return [...found.values()];
}

/** @returns docs/options.md: every option, by group */
export function optionsPage(): string {
  const all: readonly OptionRow[] = OPTIONS;
  const groups = [...new Set(all.map(({ group }) => group))];
  const sections = groups.map((group) => {
    const rows = merged(all.filter((row) => row.group === group && row.only !== 'library'));
    const lines = rows.map((row) => {
      const commands = row.commands.filter((name) => name !== 'train plan');
      const range = shownRange(row);
      const what = `${row.describe}${range === '' ? '' : ` (${range})`}${needs(row)}`;
      const library = row.only === 'command line' ? '' : code(row.name);
      return `| ${code(shownFlag(row))} | ${library} | ${isRequired(row) ? 'must be given' : cell(shownDefault(row))} | ${cell(what)} | ${commands.join(', ')} |`;
    });
    return [
      `## ${group}`,
      ['| flag | in the library | default | what | commands |', '|---|---|---|---|---|', ...lines].join('\n'),
    ].join('\n\n');
  });
  const hooks = all.filter((row) => row.only === 'library');
  return `${[
    '# Options',
    'This page is written by `npm run docs` from the table of options (`src/options/table.ts`), which also makes the checks of the library, the flags, `--help`, shell completion (`permafrost completion`) and the keys of plans: those of the groups Head and Judging, in either spelling.',
    ...sections,
    '## Only in the library',
    [
      '| option | what | functions |',
      '|---|---|---|',
      ...hooks.map((row) => `| ${code(row.name)} | ${cell(row.describe)} | ${row.commands.join(', ')} |`),
    ].join('\n'),
  ].join('\n\n')}\n`;
}

/** Page to its text. */
export const pages = (): Readonly<Record<string, string>> => ({
  'docs/commands.md': commandsPage(),
  'docs/options.md': optionsPage(),
});

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(pages())) await writeFile(file, text);
}
