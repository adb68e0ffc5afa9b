import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { permafrost } from '../helpers/cli.js';
import { root } from '../helpers/fixtures.js';

/** What is typed, where the last word is to be completed; some of what is offered, and what is not. */
const TYPED: readonly (readonly [line: string, offered: readonly string[], not: readonly string[]])[] = [
  ['permafrost tr', ['train'], ['features']],
  ['permafrost cache v', ['verify'], ['ls']],
  ['permafrost train --optim', ['--optimizer'], ['--data']],
  ['permafrost train --optimizer ', ['adam', 'lbfgs'], ['--data']],
  ['permafrost features --pooling m', ['max'], ['avg']],
  ['permafrost cache verify --rep', ['--repair'], ['--optimizer']],
];

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** For bash, and zsh with bashcompinit: the function is called as the shell calls it. That of zsh leaves it to compadd to keep what begins like the word. */
function bash(script: string, line: string): string {
  const words = line.split(' ');
  return `${script}
COMP_WORDS=(${words.map(quoted).join(' ')}); COMP_CWORD=${words.length - 1}; COMPREPLY=()
_permafrost permafrost ${quoted(words.at(-1) as string)} ${quoted(words.at(-2) as string)}
printf '%s\\n' "\${COMPREPLY[@]}"`;
}

const SHELLS = {
  bash: { args: ['--norc', '--noprofile', '-c'], program: bash },
  zsh: { args: ['-f', '-c'], program: (script: string, line: string) => `setopt KSH_ARRAYS\n${bash(script, line)}` },
  fish: {
    args: ['--no-config', '-c'],
    program: (script: string, line: string) => `${script}\ncomplete -C ${quoted(line)}`,
  },
} as const;

for (const [shell, { args, program }] of Object.entries(SHELLS)) {
  const isNeeded = shell === 'bash' && process.env.CI === 'true';
  describe(`completion in ${shell}`, { skip: has(shell) || isNeeded ? false : `${shell} is not installed` }, () => {
    for (const [line, offered, not] of TYPED) {
      test(line, async () => {
        const { stdout: script } = await permafrost(['completion', shell], root);
        const { stdout, stderr, status } = spawnSync(shell, [...args, program(script, line)], { encoding: 'utf8' });
        assert.deepEqual([status, stderr], [0, '']);
        const words = stdout.split('\n').map((one) => one.split('\t')[0]);
        for (const word of offered) assert.ok(words.includes(word), `${word} in ${words}`);
        if (shell === 'zsh') return;
        for (const word of not) assert.ok(!words.includes(word), `${word} not in ${words}`);
      });
    }
  });
}
