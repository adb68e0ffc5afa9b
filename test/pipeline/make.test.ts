import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { CommandName } from '../../src/options/commands.js';
import { readArguments } from '../helpers/arguments.js';
import { root } from '../helpers/fixtures.js';

/** The command lines that make would run, as the shell splits them. */
function commands(...args: readonly string[]): string[][] {
  const lines = execFileSync('make', ['-n', ...args], { cwd: root, encoding: 'utf8' })
    .replaceAll('\\\n', ' ')
    .split('\n');
  return lines
    .filter((line) => line.startsWith('node dist/pipeline/cli.js '))
    .map((line) =>
      execFileSync('sh', ['-c', `printf '%s\\n' ${line}`], { encoding: 'utf8' })
        .trimEnd()
        .split('\n')
        .slice(2),
    );
}

test('a variable of make reaches the command as it is: dollars, quotes, spaces; ~/ is the home folder', () => {
  const data = '~/a$b \'c" d';
  for (const target of ['features', 'train-head', 'sweep', 'predict', 'train-heads'] as const) {
    const [words = []] = commands(target, `DATA=${data}`, 'HEAD=h$1', 'PLAN=p.yaml');
    assert.ok(words.includes(data), words.join('|'));
    const { values } = readArguments(words[0] as CommandName, words.slice(1));
    const images = values.data ?? (values.paths as string[])[0];
    assert.equal(images, path.join(homedir(), data.slice(2)));
  }
});

test('the targets of everyday jobs give arguments that can be read', () => {
  const [maps = []] = commands('maps', 'PICTURE=a.jpg', 'LAYER=block1');
  assert.deepEqual(readArguments('maps', maps.slice(1)).values.layer, 'block1');
  const [exported = []] = commands('export', 'HEAD=h', 'FORMAT=onnx', 'OUT=o.onnx');
  assert.equal(readArguments('export', exported.slice(1)).values.format, 'onnx');
  const [told = []] = commands('report', 'HEAD=h', 'OUT=o.html');
  assert.deepEqual(readArguments('report', told.slice(1)).values.heads, ['h']);
  const [planned = []] = commands('report', 'PLAN=p.yaml');
  assert.deepEqual(readArguments('report', planned.slice(1)).values.heads, ['p.yaml']);
  const [neither = []] = commands('report');
  assert.throws(() => readArguments('report', neither.slice(1)), /give HEADS/);
});
