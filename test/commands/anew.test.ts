import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Binary, Table, tableFromIPC, tableToIPC, vectorFromArray } from 'apache-arrow';
import { FeatureSet, type FeaturesOptions, features, worker } from '../../src/index.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { bits, folder, MAKER } from '../helpers/store.js';

const IMAGES = 24; // a calibration needs 16
const BASE = { base: 'xception-mini', inputSize: [48, 48] } as const;
const OTHER = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;

interface Made {
  readonly data: string;
  readonly cache: string;
  readonly dir: string;
}

/** A set of some pictures. */
async function made(t: TestContext): Promise<Made> {
  const data = await pictures(t, IMAGES);
  const cache = await folder(t);
  const { dir, extracted } = await features({ ...BASE, data, cache });
  assert.equal(extracted, IMAGES);
  return { data, cache, dir };
}

const ANEW: Readonly<Record<string, Omit<FeaturesOptions, 'data'>>> = {
  'another base': OTHER,
  'another preprocessing': { ...BASE, preprocess: 'caffe' },
  'another pooling': { ...BASE, pooling: 'max' },
  'another precision': { ...BASE, precision: 'int8', fidelity: 0.5 },
  'another size of the input': { ...BASE, inputSize: [40, 40] },
  'another way to read images': { ...BASE, image: 'keras' },
  'another stored type': { ...BASE, store: 'float16' },
};

test('what shapes a vector changed: all is computed anew, into a set of its own', async (t) => {
  const { data, cache, dir } = await made(t);
  const before = await bits(await FeatureSet.open(dir));
  for (const [what, options] of Object.entries(ANEW)) {
    const again = await features({ ...options, data, cache });
    assert.deepEqual([again.extracted, again.reused], [IMAGES, 0], what);
    assert.notEqual(again.dir, dir, what);
  }
  assert.deepEqual(await bits(await FeatureSet.open(dir)), before);
});

test('pixels of another revision: all is computed anew', async (t) => {
  const { data, cache, dir } = await made(t);
  const set = await FeatureSet.open(dir);
  const image = set.spec.image as { readonly pixels: number };
  const elsewhere = await folder(t);
  const older = { ...set.spec, image: { ...image, pixels: image.pixels - 1 } };
  const old = await FeatureSet.create(elsewhere, 'xception-mini', older);
  const writer = old.writer(MAKER);
  for await (const { keys, vectors, rows } of set.batches()) {
    const d = vectors.length / rows;
    for (let row = 0; row < rows; row++) {
      await writer.add(keys.slice(32 * row, 32 * row + 32), vectors.slice(row * d, (row + 1) * d));
    }
  }
  await writer.close();
  cpSync(join(cache, 'bases'), join(elsewhere, 'bases'), { recursive: true });
  const again = await features({ ...BASE, data, cache: elsewhere });
  assert.deepEqual([again.extracted, again.reused], [IMAGES, 0]);
  assert.notEqual(again.dir, old.dir);
});

/** The same pictures with other names, in other folders, and some twice. */
function renamed(data: string, to: string): string {
  for (const [from, kind] of [
    ['dark', 'b/night'],
    ['light', 'a/day'],
  ] as const) {
    mkdirSync(join(to, kind), { recursive: true });
    for (const [i, name] of readdirSync(join(data, from)).entries()) {
      for (const copy of ['', '-again']) cpSync(join(data, from, name), join(to, kind, `${9 - i}${copy}.png`));
    }
  }
  return to;
}

const SAME: Readonly<Record<string, Partial<FeaturesOptions>>> = {
  'other labels, paths and order': {},
  'another batch size': { batchSize: 3 },
  'other threads': { threads: 1 },
  'one share of two': { shard: { index: 1, count: 2 } },
  'every file hashed': { verifyHashes: true },
};

test('labels, order, paths, batches, threads and shares changed: nothing is computed', async (t) => {
  const { data, cache, dir } = await made(t);
  const other = renamed(data, await folder(t));
  for (const [what, options] of Object.entries(SAME)) {
    const again = await features({ ...BASE, ...options, data: other, cache });
    assert.deepEqual([again.extracted, again.dir], [0, dir], what);
  }
});

test('a worker, whoever hands out its work, gives the key and the vectors of that set', async (t) => {
  const { data, dir } = await made(t);
  const set = await FeatureSet.open(dir);
  const files = readdirSync(join(data, 'light')).map((name) => readFileSync(join(data, 'light', name)));
  const stream = tableToIPC(new Table({ bytes: vectorFromArray(files, new Binary()) }), 'stream');
  const given = async (options: object) => {
    const out: Uint8Array[] = [];
    for await (const piece of worker(
      (async function* () {
        yield stream;
      })(),
      { ...BASE, ...options, cache: await folder(t) },
    )) {
      out.push(piece);
    }
    return tableFromIPC(Buffer.concat(out));
  };
  const expected = await bits(set);
  for (const options of [{}, { threads: 1, batchSize: 1 }]) {
    const table = await given(options);
    assert.equal(table.schema.metadata.get('permafrost.fingerprint'), set.fingerprint);
    for (const row of table) {
      const { buffer, byteOffset, byteLength } = row.features.toArray() as Float32Array;
      const value = Buffer.from(buffer, byteOffset, byteLength).toString('hex');
      assert.equal(value, expected.get(Buffer.from(row.sha256).toString('hex')));
    }
  }
  for (const [what, options] of Object.entries(ANEW)) {
    if (options.precision === 'int8') continue; // needs a calibration that features makes
    const table = await given({ inputSize: undefined, ...options });
    assert.notEqual(table.schema.metadata.get('permafrost.fingerprint'), set.fingerprint, what);
  }
});
