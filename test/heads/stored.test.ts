import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, rename } from 'node:fs/promises';
import path, { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CacheError } from '../../src/errors.js';
import { openVectors } from '../../src/heads/stored-vectors.js';
import { Random } from '../../src/random.js';
import { FeatureSet } from '../../src/store/index.js';
import type { VectorBlock } from '../../src/train/vectors.js';
import { root } from '../helpers/fixtures.js';
import { folder, hex, key, MAKER, spec, vector } from '../helpers/store.js';

const D = 6;

/** A set of n images in parts of a few rows. */
async function setOf(dir: string, n: number): Promise<FeatureSet> {
  const set = await FeatureSet.create(dir, 'streamed', spec(D));
  for (let from = 0; from < n; from += 7) {
    const writer = set.writer(MAKER);
    for (let i = from; i < Math.min(n, from + 7); i++) await writer.add(key(i), vector(i, D));
    await writer.close();
  }
  return set;
}

async function collect(blocks: AsyncIterable<VectorBlock>) {
  const seen: { row: number; x: number[] }[] = [];
  const sizes: number[] = [];
  for await (const { x, at, rows } of blocks) {
    assert.equal(at.length, rows.length);
    sizes.push(rows.length);
    for (const [i, row] of rows.entries()) {
      const from = at[i] as number;
      seen.push({ row, x: Array.from(x.subarray(from * D, (from + 1) * D)) });
    }
  }
  return { seen, sizes };
}

test('in memory or streamed, every asked row comes once with its vector', async (t) => {
  const set = await setOf(await folder(t), 50);
  // 60 is not in the set, 3 is asked twice.
  const images = [...Array.from({ length: 50 }, (_, i) => 49 - i), 60, 3];
  const keys = images.map(hex);
  const small = 2 * 4 * D * 10;
  for (const memory of [2 ** 20, small]) {
    const { source, found, missing } = await openVectors(set, keys, { memory });
    assert.equal(source.n, 51);
    assert.deepEqual([...missing], [50]);
    assert.equal(found[50], 51);
    const rows = Uint32Array.from({ length: 51 }, (_, i) => i).filter((row) => row % 3 > 0);
    for (const shuffle of [undefined, new Random(1)]) {
      const { seen, sizes } = await collect(source.blocks(rows, shuffle, 4));
      assert.deepEqual(
        seen.map(({ row }) => row).sort((a, b) => a - b),
        [...rows],
      );
      for (const { row, x } of seen) {
        assert.deepEqual(x, Array.from(vector(images[found[row] as number] as number, D)), `row ${row}`);
      }
      if (memory !== small) continue;
      assert.ok(sizes.every((size) => size <= 10) && sizes.slice(0, -1).every((size) => size % 4 === 0), `${sizes}`);
    }
  }
});

test('a streamed source is shuffled anew each time, the same for the same seed', async (t) => {
  const set = await setOf(await folder(t), 50);
  const { source } = await openVectors(
    set,
    Array.from({ length: 50 }, (_, i) => hex(i)),
    { memory: 2 * 4 * D * 10 },
  );
  const rows = Uint32Array.from({ length: 50 }, (_, i) => i);
  const order = async (random?: Random) => (await collect(source.blocks(rows, random))).seen.map(({ row }) => row);
  const random = new Random(3);
  const [first, second, again] = [await order(random), await order(random), await order(new Random(3))];
  assert.notDeepEqual(first, second);
  assert.deepEqual(first, again);
});

test('parts merged while a source streams: it finds the rows again; removed ones are an error', async (t) => {
  const set = await setOf(await folder(t), 50);
  const { source } = await openVectors(
    set,
    Array.from({ length: 50 }, (_, i) => hex(i)),
    { memory: 2 * 4 * D * 10 },
  );
  const writer = set.writer(MAKER);
  const old = (await readdir(set.dir)).filter((name) => name.startsWith('part-'));
  for (let i = 0; i < 50; i++) await writer.add(key(i), vector(i, D));
  await writer.close();
  const rows = Uint32Array.from({ length: 50 }, (_, i) => i);
  const seen: number[] = [];
  for await (const block of source.blocks(rows)) {
    seen.push(...block.rows);
    if (seen.length > 10) continue;
    for (const name of old) await rename(join(set.dir, name), join(set.dir, `_gone-${name}`));
  }
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    [...rows],
  );
  for (const name of await readdir(set.dir)) {
    if (name.startsWith('part-')) await rename(join(set.dir, name), join(set.dir, `_gone-${name}`));
  }
  await assert.rejects(collect(source.blocks(rows)), CacheError);
});

test('training on more vectors than the memory it may take stays within it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    path.join(root, 'dist/bench/big_set.js'),
    ...['100000', '512', String(2 ** 24), '1'],
  ]);
  const peak = Number(/^ *train +(\d+)/m.exec(stdout)?.[1]);
  // The vectors alone are 205 MB, Node with the engine about 100.
  assert.ok(peak < 280, stdout);
  assert.ok(Number(/(\S+) % of new vectors right/.exec(stdout)?.[1]) > 70, stdout);
});
