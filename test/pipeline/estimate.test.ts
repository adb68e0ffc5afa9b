import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Estimate, FeaturesResult } from '../../src/index.js';
import { permafrost, start } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const BASE = ['--base', fixture('keras/tiny.keras'), '--layer', 'maps', '--preprocess', 'tf'];

test('what is estimated of the vectors is what features writes, to the byte', async (t) => {
  const dir = await folder(t);
  const data = await pictures(t, 6);
  const made = await permafrost(['features', ...BASE, '--data', data, '--json'], dir);
  assert.equal(made.code, 0, made.stderr);
  const features = JSON.parse(made.stdout) as FeaturesResult;
  const args = ['estimate', ...BASE, '--images', String(features.extracted), '--data', data];
  const { code, stdout, stderr } = await permafrost([...args, '--json'], dir);
  assert.equal(code, 0, stderr);
  const found = JSON.parse(stdout) as Estimate;
  const parts = readdirSync(features.dir).filter((name) => name.endsWith('.arrow'));
  assert.deepEqual(found.parts, { written: parts.length, compact: parts.length });
  assert.equal(found.bytes, statSync(path.join(features.dir, parts[0] as string)).size);
  assert.equal(found.dim, features.dim);
  assert.ok(found.measured.decoded && found.measured.images > 0 && found.imagesPerSecond > 0);
  assert.equal(found.seconds, features.extracted / found.imagesPerSecond);
  assert.match(stderr, /images\/s here/);
  assert.ok(found.unknown.length > 0);
});

test('many machines share the images; each writes parts of its own', async (t) => {
  const args = ['estimate', ...BASE, '--images', '1e9', '--machines', '500', '--json', '--quiet'];
  const { code, stdout, stderr } = await permafrost(args, await folder(t));
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  const found = JSON.parse(stdout) as Estimate;
  assert.equal(found.seconds, 2e6 / found.imagesPerSecond);
  assert.equal(found.parts.written % 500, 0);
  assert.equal(found.parts.compact, Math.ceil(1e9 / 1024));
  assert.ok(found.bytes > 1e9 * (32 + 4 * found.dim));
  assert.deepEqual([found.measured.decoded, found.imageBytes], [false, null]);
  assert.match(found.unknown.join('; '), /reading and decoding.*machines/);
});

test('what cannot be estimated is refused in a sentence', async (t) => {
  const dir = await folder(t);
  writeFileSync(path.join(dir, 'broken.jpg'), 'no image');
  const refused = async (code: number, message: RegExp, ...args: string[]): Promise<void> => {
    const ended = await permafrost(['estimate', ...BASE, ...args], dir);
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr, message);
  };
  await refused(2, /--images/);
  await refused(2, /--images/, '--images', '0');
  await refused(2, /--machines/, '--images', '10', '--machines', '0.5');
  await refused(1, /nowhere: there is no such folder/, '--images', '10', '--data', 'nowhere');
  await refused(1, /none of the files looked at is an image/, '--images', '10', '--data', dir);
});

test('a signal ends it at once', async (t) => {
  const dir = await folder(t);
  const child = start(['estimate', ...BASE, '--images', '10'], dir);
  // It measures from when its base is proved, for seconds.
  const isMeasuring = (): boolean => {
    const cache = path.join(dir, 'cache');
    return (
      existsSync(cache) && readdirSync(cache, { recursive: true }).some((name) => /_proof-\w+\.json$/.test(`${name}`))
    );
  };
  while (!isMeasuring()) {
    assert.equal(child.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const began = performance.now();
  child.kill('SIGTERM');
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 143);
  assert.ok(performance.now() - began < 1000);
});
