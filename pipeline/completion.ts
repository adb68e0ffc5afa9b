import { kebab, typedOptions } from '../src/options/check.js';
import { type CommandName, typedCommands } from '../src/options/commands.js';
import type { OptionRow } from '../src/options/table.js';
import type { Arguments } from './arguments.js';

const flags = (rows: readonly OptionRow[]): OptionRow[] => rows.filter(({ positional }) => positional !== true);
const rowsOf = (name: string): OptionRow[] => flags(typedOptions(name as CommandName));
const firstWords = [...new Set(typedCommands.map(({ name }) => name.split(' ')[0] as string))];
const groups = [
  ...new Set(typedCommands.filter(({ name }) => name.includes(' ')).map(({ name }) => name.split(' ')[0])),
];
const within = (group: string | undefined): string[] =>
  typedCommands.flatMap(({ name }) => (name.startsWith(`${group} `) ? [name.slice(`${group} `.length)] : []));

/** For bash, and zsh by its bashcompinit: commands, then flags, then the values of a choice; files elsewhere. */
function bash(): string {
  const options = typedCommands.map(
    ({ name }) =>
      `    '${name}') words='${[...rowsOf(name).map((row) => `--${kebab(row.name)}`), '--help'].join(' ')}' ;;`,
  );
  const values = typedCommands.flatMap(({ name }) =>
    rowsOf(name).flatMap((row) =>
      row.type === 'choice' ? [`    '${name} --${kebab(row.name)}') values='${row.choices.join(' ')}' ;;`] : [],
    ),
  );
  return `_permafrost() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}" words='' values=''
  case "$command" in ${groups.join('|')}) [ "$COMP_CWORD" -gt 2 ] && command="$command \${COMP_WORDS[2]}" ;; esac
  if [ "$COMP_CWORD" -eq 1 ]; then words='${firstWords.join(' ')} --help --version'; fi
${groups.map((group) => `  if [ "$COMP_CWORD" -eq 2 ] && [ "$command" = '${group}' ]; then words='${within(group).join(' ')}'; fi`).join('\n')}
  case "$command $previous" in
${values.join('\n')}
  esac
  if [ -n "$values" ]; then COMPREPLY=($(compgen -W "$values" -- "$current")); return; fi
  case "$command" in
${options.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _permafrost permafrost
`;
}

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

function fish(): string {
  const seen = (name: string): string => {
    const [first, second] = name.split(' ');
    return second === undefined
      ? `__fish_seen_subcommand_from ${first}`
      : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`;
  };
  const commands = firstWords.map((word) => {
    const row = typedCommands.find(({ name }) => name === word);
    const describe = row?.describe ?? within(word).join(', ');
    return `complete -c permafrost -n __fish_use_subcommand -a ${word} -d ${quoted(describe)}`;
  });
  const inner = groups.flatMap((group) =>
    within(group).map((word) => `complete -c permafrost -n '__fish_seen_subcommand_from ${group}' -a ${word}`),
  );
  const options = typedCommands.flatMap(({ name }) =>
    rowsOf(name).map((row) => {
      const value =
        row.type === 'switch' ? '' : row.type === 'choice' ? ` -x -a ${quoted(row.choices.join(' '))}` : ' -r';
      return `complete -c permafrost -n ${quoted(seen(name))} -l ${kebab(row.name)}${value} -d ${quoted(row.describe)}`;
    }),
  );
  return `${[...commands, ...inner, ...options].join('\n')}\n`;
}

export async function run({ values }: Arguments): Promise<void> {
  const scripts = {
    bash,
    fish,
    zsh: () => `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bash()}`,
  };
  process.stdout.write(scripts[values.shell as keyof typeof scripts]());
}
