import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openBase } from '../../src/base/index.js';
import { readTable } from '../../src/labels/read-table.js';
import { permafrost } from '../helpers/cli.js';
import { fixture, root } from '../helpers/fixtures.js';
import { labelledSet } from '../helpers/labelled-set.js';
import { memoryFolder } from '../helpers/store.js';

/** Says at its end how much memory a process took. */
const PEAK =
  'process.on("exit",()=>process.stderr.write("\\npeak "+process.resourceUsage().maxRSS+" "+process.cpuUsage().user))';
const MOST_SECONDS = 10;
const MOST_MEMORY = 500 * 1000; // kB

/** Runs the command line on a hostile input: 1, one sentence, in time and memory. @returns the sentence */
async function refused(args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await permafrost(args, cwd, {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(PEAK)}`,
  });
  const [sentence = '', ...rest] = stderr.trimEnd().split('\n');
  const [, memory = 0, micros = 0] = (/^peak (\d+) (\d+)$/.exec(rest.at(-1) ?? '') ?? []).map(Number);
  const seconds = micros / 1e6; // of the processor: a busy machine makes no test fail
  assert.equal(code, 1, stderr);
  assert.equal(stdout, '');
  assert.match(sentence, /^permafrost: /);
  assert.ok(!/unforeseen/.test(sentence) && rest.filter((line) => line !== '').length === 1, stderr);
  assert.ok(seconds < MOST_SECONDS, `${args.join(' ')} took ${seconds} s`);
  assert.ok(memory > 0 && memory < MOST_MEMORY, `${args.join(' ')} took ${memory} kB`);
  return sentence;
}

function many(file: string, head: string, line: string, bytes: number): void {
  writeFileSync(file, head);
  const block = line.repeat(2 ** 20 / line.length);
  for (let written = 0; written < bytes; written += block.length) appendFileSync(file, block);
}

test('hostile inputs end in time, within their memory, with one sentence', { timeout: 120_000 }, async (t) => {
  const dir = await memoryFolder(t);
  const { cache, data, features } = await labelledSet(dir, 20, 4);
  assert.equal(spawnSync('mkfifo', [path.join(dir, 'pipe')]).status, 0);
  const train = (labels: string) => [
    'train',
    '--data',
    data,
    '--cache',
    cache,
    '--features',
    features,
    '--labels',
    labels,
  ];
  assert.match(await refused(train('/dev/zero'), dir), /label file \/dev\/zero is a pipe or a device, no file/);
  assert.match(await refused(train('pipe'), dir), /label file .*pipe is a pipe or a device/);
  many(path.join(dir, 'commas.csv'), '', ',\n', 200 * 2 ** 20);
  assert.match(await refused(train('commas.csv'), dir), /is larger than 134217728 bytes/);
  many(path.join(dir, 'many.csv'), 'path,label\n', ',\n', 100 * 2 ** 20);
  assert.match(await refused(train('many.csv'), dir), /more than 1048576 rows that hold nothing/);
  many(path.join(dir, 'many.csv'), 'path,label\n', ',,,,', 2 ** 20);
  await assert.rejects(readTable(path.join(dir, 'many.csv')), /more than 16384 fields/);
  const plan = (file: string) => ['train', '--data', data, '--cache', cache, '--features', features, '--plan', file];
  assert.match(await refused(plan('pipe'), dir), /plan .* is a pipe or a device/);
  assert.deepEqual(
    readdirSync(cache).filter((name) => name.startsWith('_tmp')),
    [],
  );
});

test('models that are pipes, or name pipes, are refused', { timeout: 60_000 }, async (t) => {
  const dir = await memoryFolder(t);
  const external = readdirSync(fixture('onnx')).find((name) => name.startsWith('external') && name.endsWith('.onnx'));
  assert.ok(external, 'a model with its weights in another file');
  mkdirSync(path.join(dir, 'onnx'));
  copyFileSync(fixture(`onnx/${external}`), path.join(dir, 'onnx', external));
  const named = /[\w.-]+\.(data|bin)/.exec(readFileSync(fixture(`onnx/${external}`), 'latin1'))?.[0] ?? '';
  const pipes = ['m.h5', 'm.keras', 'm.onnx', 'model.json', `onnx/${named}`];
  for (const pipe of pipes) assert.equal(spawnSync('mkfifo', [path.join(dir, pipe)]).status, 0);
  const refuses = (base: string) =>
    assert.rejects(openBase({ base: path.resolve(dir, base), preprocess: 'none' }), {
      name: 'ModelError',
      message: /(is a pipe or a device, no file|which is a pipe)/,
    });
  for (const base of ['m.h5', 'm.keras', 'm.onnx', 'model.json', '/dev/zero', `onnx/${external}`]) await refuses(base);
  writeFileSync(
    path.join(dir, 'shards.json'),
    readFileSync(fixture('tfjs/chain.json'), 'utf8').replace('chain.group1-shard1of1.bin', 'm.h5'),
  );
  await refuses('shards.json');
});

test('a second signal ends a process that is too busy to hear it', async () => {
  const busy = `
    const { interrupt } = await import(${JSON.stringify(path.join(root, 'dist/pipeline/io.js'))});
    interrupt().addEventListener('abort', () => {
      setTimeout(() => { process.stdout.write('busy'); for (const end = Date.now() + 60_000; Date.now() < end; ); }, 200);
    });
    setTimeout(() => {}, 60_000);
    process.stdout.write('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', busy]);
  const ended = new Promise((resolve) => {
    child.on('close', resolve);
  });
  let sent = 0;
  child.stdout.on('data', () => {
    child.kill('SIGTERM');
    sent = performance.now();
  });
  await ended;
  assert.ok(performance.now() - sent < 5000);
});
