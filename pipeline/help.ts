import { typedOptions } from '../src/options/check.js';
import { type CommandName, type CommandRow, typedCommands } from '../src/options/commands.js';
import type { OptionRow } from '../src/options/table.js';
import { shownFacts, shownFlag } from './shown.js';

const LEFT = 30;

/** Lines of at most `width` columns, all but the first behind `indent` spaces. */
function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width - indent) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

/** Two columns; a left one that is too long stands on a line of its own. */
function row(left: string, right: string, width: number): string {
  const gap = left.length > LEFT - 4 ? `\n${' '.repeat(LEFT)}` : ' '.repeat(LEFT - 2 - left.length);
  return `  ${left}${gap}${wrap(right, width, LEFT)}`;
}

/** Options by group, in the order of the table. */
export function grouped(rows: readonly OptionRow[]): Map<string, OptionRow[]> {
  const groups = new Map<string, OptionRow[]>();
  for (const one of rows) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
  return groups;
}

/** @returns what `permafrost --help` prints, or that of the commands of a group such as cache */
export function helpOfAll(width: number, within?: string): string {
  const commands = typedCommands.filter(({ name }) => within === undefined || name.startsWith(`${within} `));
  const name = within === undefined ? 'permafrost' : `permafrost ${within}`;
  return [
    `${name} <command> [options]`,
    '',
    ...(within === undefined ? ['Freeze the base, keep the features, train heads in seconds.', ''] : []),
    'Commands',
    ...commands.map((one) => row([one.name, one.usage].filter(Boolean).join(' '), one.describe, width)),
    '',
    `  ${name} <command> --help   options and examples of a command`,
    ...(within === undefined ? ['  permafrost --version          the version'] : []),
    '',
  ].join('\n');
}

/** @returns what `permafrost COMMAND --help` prints */
export function helpOf(command: CommandRow, width: number): string {
  const sections = [...grouped(typedOptions(command.name as CommandName))].map(([group, rows]) =>
    [group, ...rows.map((one) => row(shownFlag(one), `${one.describe}${shownFacts(one)}`, width))].join('\n'),
  );
  const examples = command.examples.map(([line, what]) => `  ${line}\n      ${what}`);
  const usage = command.usage === undefined ? '' : ` ${command.usage}`;
  return [
    `permafrost ${command.name}${usage} [options]`,
    '',
    wrap(command.describe, width, 0),
    '',
    sections.join('\n\n'),
    '',
    'Examples',
    ...examples,
    '',
  ].join('\n');
}
