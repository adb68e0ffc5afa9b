import assert from 'node:assert/strict';
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type FeaturesOptions, features } from '../../src/commands/features.js';
import { predict } from '../../src/commands/predict.js';
import { train } from '../../src/commands/train.js';
import { UsageError } from '../../src/errors.js';
import { FeatureSet } from '../../src/store/index.js';
import { pictures } from '../helpers/pictures.js';
import { bits, folder } from '../helpers/store.js';

const BASE = { base: 'xception-mini', inputSize: [48, 48] as const };

const run = async (options: Omit<FeaturesOptions, 'base'>) => {
  const result = await features({ ...BASE, ...options });
  return { ...result, bits: await bits(await FeatureSet.open(result.dir)) };
};

test('the union of shards is one run, whatever they are called and wherever they run', async (t) => {
  const data = await pictures(t, 40);
  const cache = await folder(t);
  const whole = await run({ data, cache: await folder(t) });
  assert.deepEqual([whole.images, whole.elsewhere, whole.extracted, whole.quarantined], [41, 0, 40, 1]);
  const sizes: number[] = [];
  let aside = 0;
  for (const index of [3, 1, 2]) {
    const shard = { index, count: 3 };
    const alone = await run({ data, cache: await folder(t), shard });
    assert.equal(alone.images + alone.elsewhere, 41);
    sizes.push(alone.bits.size);
    aside += alone.quarantined;
    const together = await run({ data, cache, shard });
    assert.equal(together.extracted, alone.extracted);
    assert.deepEqual(
      [...alone.bits].filter(([key, value]) => together.bits.get(key) !== value),
      [],
    );
  }
  assert.ok(
    sizes.every((size) => size > 0 && size < 40),
    `${sizes}`,
  );
  assert.equal(aside, 1);
  const end = await run({ data, cache });
  assert.deepEqual([end.extracted, end.reused], [0, 40]);
  assert.deepEqual(end.bits, whole.bits);
  for (const shard of [
    { index: 0, count: 3 },
    { index: 4, count: 3 },
    { index: 1.5, count: 3 },
  ]) {
    await assert.rejects(features({ ...BASE, data, cache, shard }), UsageError);
  }
});

test('a changed file with its time put back is found when hashes are verified', async (t) => {
  const data = await pictures(t, 4);
  const cache = await folder(t);
  const file = join(data, 'light', '0.png');
  const old = new Date('2024-01-01');
  await utimes(file, old, old);
  await run({ data, cache });
  const before = await stat(file);
  const bytes = await readFile(file);
  const other = await readFile(join(data, 'light', '2.png'));
  await writeFile(file, Buffer.concat([other, Buffer.alloc(bytes.length)]).subarray(0, bytes.length));
  await utimes(file, old, old);
  const after = await stat(file);
  assert.deepEqual([after.size, after.mtimeMs, after.ino], [before.size, before.mtimeMs, before.ino]);
  assert.deepEqual([(await run({ data, cache })).reused], [4], 'the shortcut cannot know');
  const verified = await run({ data, cache, verifyHashes: true });
  assert.equal(verified.reused, 3);
  assert.equal(verified.extracted + verified.quarantined, 2, 'the new content, and what was broken before');
});

test('float16: half the space, each value within half a step, heads train on it and predict with it', async (t) => {
  const data = await pictures(t, 24);
  const cache = await folder(t);
  const full = await run({ data, cache });
  const half = await run({ data, cache, store: 'float16' });
  assert.notEqual(half.dir, full.dir);
  const read = async (dir: string): Promise<Float32Array> =>
    (await (await FeatureSet.open(dir)).read([...full.bits.keys()])).vectors;
  const exact = await read(full.dir);
  const rounded = await read(half.dir);
  let worst = 0;
  rounded.forEach((value, i) => {
    const wanted = exact[i] as number;
    // Below 2^-14 float16 counts in steps of 2^-24.
    worst = Math.max(worst, Math.abs(value - wanted) / Math.max(Math.abs(wanted), 2 ** -14));
  });
  assert.ok(worst > 0 && worst <= 2 ** -11, `${worst}`);
  const scores: Record<string, number[]> = { float32: [], float16: [] };
  for (const store of ['float32', 'float16'] as const) {
    const { dir, metrics } = await train({ ...BASE, data, cache, store, name: store, val: 0.5 });
    assert.ok(metrics !== null && 'accuracy' in metrics && metrics.accuracy > 0.5);
    for await (const prediction of predict({ paths: [data], head: dir, cache })) {
      if (prediction.scores !== undefined) scores[store]?.push(prediction.scores[0]?.score ?? Number.NaN);
    }
  }
  assert.equal(scores.float32?.length, 24);
  scores.float16?.forEach((score, i) => {
    assert.ok(Math.abs(score - (scores.float32?.[i] ?? Number.NaN)) < 0.01, `${score}, ${scores.float32?.[i]}`);
  });
});

test('when it is stopped it stores what is done, says how much, and goes on from there', async (t) => {
  const data = await pictures(t, 40);
  const cache = await folder(t);
  const stop = new AbortController();
  let stored = -1;
  await assert.rejects(
    run({
      data,
      cache,
      batchSize: 4,
      signal: stop.signal,
      onProgress: ({ extracted }) => extracted >= 8 && stop.abort(new Error('enough')),
      onStopped: (count) => {
        stored = count;
      },
    }),
    { message: 'enough' },
  );
  assert.ok(stored >= 8 && stored < 40, `${stored}`);
  const rest = await run({ data, cache });
  assert.deepEqual([rest.reused, rest.extracted], [stored, 40 - stored]);
});
