import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { calibrationsOf, inFloat, readCalibration } from '../../src/base/calibrations.js';
import { type Base, type BaseSpec, keepCalibration, keptBase, saturates } from '../../src/base/index.js';
import type { Engine, Runner } from '../../src/engine/engine.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { CacheError, DataError, EngineError, ModelError, UsageError } from '../../src/errors.js';
import { VectorRunner } from '../../src/extract/vectors.js';
import { realSystem } from '../../src/files/index.js';
import { exportHead, FeatureSet, features, listSets, predict, train, verifySets } from '../../src/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { bits, folder } from '../helpers/store.js';

const BASE = { base: 'xception-mini', inputSize: [32, 32] } as const;
const INT8 = { ...BASE, precision: 'int8', fidelity: 0.9 } as const;

const kept = (cache: string): string[] =>
  readdirSync(path.join(cache, 'bases'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /int8-[0-9a-f]{12}\.json$/.test(name))
    .map((name) => path.join(cache, 'bases', name));
const only = (cache: string): string => {
  const [one = '', ...others] = kept(cache);
  assert.ok(one !== '' && others.length === 0, `one calibration, found ${kept(cache).length}`);
  return one;
};
const read = async (dir: string) => bits(await FeatureSet.open(dir));

test('int8 is calibrated once, by the first run; what follows is named by the set', async (t) => {
  const data = await pictures(t, 30);
  const more = await pictures(t, 42); // the same 30 and more
  const cache = await folder(t);
  const told: string[] = [];
  const first = await features({ ...INT8, data, cache, onWarning: (message) => told.push(message) });
  const calibration = only(cache);
  const bytes = readFileSync(calibration, 'utf8');
  assert.equal(first.extracted, 30);
  assert.ok(first.int8?.made && first.int8.calibration === path.resolve(calibration));
  assert.ok(first.int8.fidelity.mean > 0.98, `fidelity ${first.int8.fidelity.mean}`);
  assert.equal(first.int8.fidelity.images, 6, 'a fifth of 30 judges');
  assert.ok(first.int8.share > 0.95);
  assert.match(told.join('\n'), /int8 is [\d.]+ times as fast as float32 here/);
  const set = await FeatureSet.open(first.dir);
  assert.equal(set.spec.precision, 'int8');
  assert.match(calibration, new RegExp(`int8-${String(set.spec.calibration).slice(0, 12)}.json$`));

  const second = await features({ ...INT8, data: more, cache });
  assert.deepEqual([second.dir, second.extracted, second.reused], [first.dir, 12, 30]);
  assert.equal(second.int8?.made, false);
  assert.equal(readFileSync(only(cache), 'utf8'), bytes, 'adding images never remakes it');

  const float = await features({ ...BASE, data, cache });
  assert.notEqual(float.dir, first.dir);
  const [ours, theirs] = [await read(first.dir), await read(float.dir)];
  for (const [key, vector] of theirs) {
    assert.notEqual(ours.get(key), vector);
    const [a, b] = [ours.get(key) ?? '', vector].map(
      (hex) => new Float32Array(new Uint8Array(Buffer.from(hex, 'hex')).buffer),
    );
    assert.ok(cosine(a as Float32Array, b as Float32Array) > 0.95, key);
  }

  const [listed] = (await listSets(cache)).filter(({ precision }) => precision === 'int8');
  assert.equal(listed?.int8?.fidelity.mean, first.int8.fidelity.mean);
  assert.ok((listed?.int8?.speed?.int8 ?? 0) > 0);
  const { stdout } = await permafrost(['cache', 'ls', '--cache', cache], data);
  assert.match(stdout, /int8: mean cosine with float32 0\.\d{4} \(1 % below .* \d+ % of the multiply-adds/);
  const [verified] = await verifySets(cache, { sets: [first.dir], data, sample: 5 });
  assert.equal(verified?.recomputed?.identical, 5);

  const base = (await keptBase(cache, set.spec as unknown as BaseSpec)) as Base;
  await assert.rejects(VectorRunner.open(base, saturating, { cache }, { batchSize: 4 }), (error) => {
    return (
      error instanceof EngineError &&
      /gives other vectors on this processor .*(--weight-bits 7|the engine's rounding)/.test(error.message)
    );
  });

  const head = await train({ data, cache, base: BASE.base, inputSize: BASE.inputSize, precision: 'int8' });
  assert.equal(path.basename(head.dir), first.set);
  const fresh = await pictures(t, 50);
  const options = { paths: [fresh], head: head.dir, cache, noStore: true };
  assert.equal((await collected(predict(options))).filter(({ label }) => label !== undefined).length, 50);
  const out = path.join(await folder(t), 'whole.onnx');
  await exportHead({ head: head.dir, cache, format: 'onnx', out, withBase: true });
  assert.ok(readFileSync(out).includes('QuantizeLinear'), 'the int8 base is in it');
  await assert.rejects(
    exportHead({ head: head.dir, cache, format: 'keras', out: `${out}.keras`, withBase: true }),
    (error) => error instanceof ModelError && /only an ONNX model holds an int8 base/.test(error.message),
  );

  const elsewhere = path.join(await folder(t), 'calibration.json');
  copyFileSync(calibration, elsewhere);
  rmSync(calibration);
  await assert.rejects(collected(predict(options)), (error) => {
    return error instanceof CacheError && /int8 calibration .* is needed: .*--calibration FILE/.test(error.message);
  });
  const given = { ...options, calibration: elsewhere };
  assert.equal((await collected(predict(given))).length, 51);
  const digest = path.basename(path.dirname(calibration));
  const aside = path.join(cache, 'bases', `_aside-${realSystem.host}-${4194305}-0123456789ab`);
  mkdirSync(aside);
  renameSync(path.join(cache, 'bases', digest), path.join(aside, digest));
  assert.equal((await collected(predict(given))).length, 51, 'a base that a dead gc had aside is put back');
});

test('of calibrations that are made at once the first counts, in each process', async (t) => {
  const data = await pictures(t, 16);
  const cache = await folder(t);
  const { dir } = await features({ ...INT8, data, cache });
  const { spec } = (await FeatureSet.open(dir)) as { spec: unknown };
  const { calibration } = await readCalibration(only(cache));
  const float = inFloat(spec as BaseSpec);
  const other = await folder(t);
  const made = Array.from({ length: 8 }, (_, i) => ({ ...calibration, images: 100 + i }));
  const kept = await Promise.all(made.map((one) => keepCalibration(other, float, one, { alone: true })));
  assert.equal(new Set(kept.map(({ digest }) => digest)).size, 1);
  assert.equal((await calibrationsOf(other, float)).length, 1);
  assert.deepEqual(
    readdirSync(path.dirname(kept[0]?.file ?? '')).filter((name) => !name.startsWith('int8-')).length,
    1,
    'the mark of the first',
  );
  rmSync(kept[0]?.file ?? '');
  const again = await keepCalibration(other, float, { ...calibration, images: 99 }, { alone: true });
  assert.equal(again.calibration.images, 99, 'one that was taken out holds nothing up');
});

test('who cannot use int8 is told of the processor only where it is the cause', () => {
  const said = (...flags: string[]) => saturates('some', 'x', { model: 'm', flags }).message;
  assert.match(said('avx2', 'ssse3'), /lacks VNNI or AMX; use --weight-bits 7/);
  assert.match(said(), /lacks VNNI or AMX; use --weight-bits 7/);
  for (const flag of ['avx512_vnni', 'avx_vnni', 'amx_int8', 'asimddp'])
    assert.match(
      said('avx2', flag),
      /it is the engine's rounding, of which this base makes much; use --precision float32, or a lower --fidelity/,
    );
});

test('a cache without a calibration, or with two, says what to do', async (t) => {
  const data = await pictures(t, 20);
  const cache = await folder(t);
  const named = { data, cache, ...BASE, precision: 'int8' } as const;
  await features({ ...BASE, data, cache });
  await assert.rejects(train(named), (error) => {
    return (
      error instanceof CacheError &&
      /no int8 calibration .* features --precision int8 .* --calibration FILE/.test(error.message)
    );
  });
  const eight = await features({ ...INT8, data, cache });
  const seven = await features({ ...INT8, data, cache, weightBits: 7 });
  assert.ok(seven.int8?.made && seven.dir !== eight.dir, '7 bits are another calibration');
  const [one = '', two = ''] = kept(cache);
  const choice = (error: unknown) =>
    error instanceof CacheError && error.message.includes(one) && error.message.includes(two);
  await assert.rejects(train(named), choice);
  await assert.rejects(features({ ...INT8, data, cache }), choice);
  const head = await train({ ...named, calibration: eight.int8?.calibration ?? '' });
  assert.equal(path.basename(head.dir), eight.set);
  const again = await features({ ...INT8, data, cache, recalibrate: true });
  assert.equal(again.dir, eight.dir, 'the same images on the same machine give the same calibration');
  await assert.rejects(
    features({ ...INT8, data, cache, weightBits: 7, fidelity: 0.9999999 }),
    (error) => error instanceof CacheError && /--recalibrate/.test(error.message),
  );
});

test('shards with one calibration give the bits of one run, in any batch and thread count', async (t) => {
  const data = await pictures(t, 24);
  const [whole, left, right] = [await folder(t), await folder(t), await folder(t)];
  const all = await features({ ...INT8, data, cache: whole, batchSize: 8, threads: 1 });
  const calibration = only(whole);
  const common = { ...BASE, precision: 'int8', data, calibration } as const;
  const parts = [
    await features({ ...common, cache: left, shard: { index: 1, count: 2 }, batchSize: 1, threads: 2 }),
    await features({ ...common, cache: right, shard: { index: 2, count: 2 }, batchSize: 5 }),
  ];
  assert.equal(readFileSync(only(right), 'utf8'), readFileSync(calibration, 'utf8'), 'it is kept there too');
  const joined = new Map(
    (await Promise.all(parts.map(({ dir }) => read(dir))))
      .flatMap((rows) => [...rows])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  assert.deepEqual(joined, await read(all.dir));
  assert.ok(parts.every(({ set, extracted }) => set === all.set && extracted > 0));
});

test('what cannot be int8 is refused with its figures, and damaged calibrations with their place', async (t) => {
  const data = await pictures(t, 20);
  const cache = await folder(t);
  const refused = (pattern: RegExp) => (error: unknown) => error instanceof EngineError && pattern.test(error.message);
  await assert.rejects(
    // With 8 bits a processor that saturates is refused before.
    features({ ...INT8, data, cache, fidelity: 0.99999, weightBits: 7 }),
    refused(/int8 is refused .* mean cosine .* is 0\.\d{4} .* where 0.99999 is asked for.* --fidelity/),
  );
  await assert.rejects(
    features({ base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf', precision: 'int8', data, cache }),
    refused(/0 % of its multiply-adds/),
  );
  await assert.rejects(features({ ...INT8, data, cache, engine: 'tensorflow' }), UsageError);
  await assert.rejects(features({ ...BASE, data, cache, fidelity: 0.99 }), /belongs to .*precision/);
  await assert.rejects(
    features({ ...INT8, data: await pictures(t, 12), cache }),
    (error) => error instanceof DataError && /at least 16 images, and .* holds 12/.test(error.message),
  );
  assert.deepEqual(kept(cache), []);
  await features({ ...INT8, data, cache });
  const file = only(cache);
  const whole = readFileSync(file);
  const copy = path.join(await folder(t), 'copy.json');
  const withCopy = { ...BASE, precision: 'int8', data, calibration: copy } as const;
  writeFileSync(copy, Buffer.from(whole).fill('7', 100, 101));
  await assert.rejects(
    features({ ...withCopy, cache }),
    /copy.json is no int8 calibration, or a byte of it was changed/,
  );
  cpSync(file, copy);
  const other = { ...withCopy, inputSize: [48, 48] as const };
  await assert.rejects(features({ ...other, cache }), /calibrates another base, or other settings/);
  writeFileSync(file, whole.subarray(0, 1000));
  const told: string[] = [];
  await assert.rejects(train({ ...withCopy, calibration: path.join(cache, 'none.json'), cache }), /none.json/);
  await features({ ...withCopy, cache, onWarning: (message) => told.push(message) });
  assert.deepEqual(readFileSync(file), whole, 'a copy heals it');
});

/** The engine as a processor makes it whose sums of products overflow: large values come out low. */
const saturating: Engine = {
  ...onnxEngine,
  version: 'saturating',
  async loadOnnx(program, options = {}): Promise<Runner> {
    const runner = (await onnxEngine.loadOnnx?.(program, options)) as Runner;
    if (options.optimize === false) return runner;
    return {
      async run(images, n) {
        const [values = new Float32Array()] = await runner.run(images, n);
        const most = values.reduce((a, b) => Math.max(a, b), 0);
        return [values.map((value) => most - value)];
      },
      release: () => runner.release(),
    };
  },
};

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
