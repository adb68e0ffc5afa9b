import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { pages } from '../../pipeline/docs.js';
import { helpOf } from '../../pipeline/help.js';
import { MODULES } from '../../pipeline/modules.js';
import { flagOf, optionsOfCommand, typedOptions } from '../../src/options/check.js';
import { COMMANDS, type CommandName, typedCommands } from '../../src/options/commands.js';
import { keeps } from '../../src/options/rules.js';
import { OPTIONS, type OptionRow } from '../../src/options/table.js';
import { readArguments } from '../helpers/arguments.js';
import { root } from '../helpers/fixtures.js';

const all: readonly OptionRow[] = OPTIONS;

test('a name means one thing to a command, and its default keeps its own rule', () => {
  for (const { name } of COMMANDS) {
    const named = all.filter(({ commands }) => commands.includes(name)).map((row) => row.name);
    assert.deepEqual(named, [...new Set(named)], name);
    const flags = typedOptions(name).flatMap((row) => [
      flagOf(row),
      ...(row.aliases ?? []).map((alias) => `--${alias}`),
    ]);
    assert.deepEqual(flags, [...new Set(flags)], name);
  }
  for (const row of all) {
    for (const value of [row.default, ...Object.values(row.defaults ?? {})]) {
      if (value !== undefined && value !== null) assert.ok(keeps(row, value), `${row.name}: ${JSON.stringify(value)}`);
      if (value === null) assert.equal(row.nullable, true, row.name);
    }
    for (const [, other] of row.needs?.says.matchAll(/\{(\w+)\}/g) ?? []) {
      for (const command of row.commands)
        assert.ok(optionsOfCommand(command).has(other as string), `${row.name}: ${other}`);
    }
  }
});

test('each command has a module, two examples that can be read, and all its flags in its help', () => {
  assert.deepEqual(Object.keys(MODULES).sort(), typedCommands.map(({ name }) => name).sort());
  for (const command of typedCommands) {
    assert.equal(command.examples.length, 2, command.name);
    const help = helpOf(command, 100);
    for (const row of typedOptions(command.name as CommandName)) assert.ok(help.includes(flagOf(row)), flagOf(row));
    for (const line of help.split('\n')) assert.ok(line.length <= 100, line);
    for (const [line] of command.examples) {
      const inner = /\((.*)\)/.exec(line)?.[1] ?? line;
      const words = inner.replace(/ >.*/, '').split(' ');
      assert.deepEqual(words.slice(0, 1 + command.name.split(' ').length), ['permafrost', ...command.name.split(' ')]);
      readArguments(command.name as CommandName, words.slice(1 + command.name.split(' ').length));
    }
  }
});

test('the pages of docs/ that are made from the table are those of now', () => {
  for (const [file, text] of Object.entries(pages())) {
    assert.equal(readFileSync(path.join(root, file), 'utf8'), text, `${file} is older than the table: npm run docs`);
  }
});
