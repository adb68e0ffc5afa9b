import assert from 'node:assert/strict';
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { listSets, migrateSets } from '../../src/commands/cache/index.js';
import { CacheError } from '../../src/errors.js';
import { encodePart } from '../../src/store/encode-part.js';
import { FeatureSet, type SetSpec } from '../../src/store/index.js';
import { fingerprint, MIGRATIONS, type Migration } from '../../src/store/spec.js';
import { bits, Crash, faulty, folder, hex, key, MAKER, spec, temporaries, vector } from '../helpers/store.js';

const D = 3;
/** Two formats that never were: 0 called the base otherwise, and -1 had no type. */
const STEPS = new Map<number, Migration>([
  [-1, (older) => ({ ...older, format: 0, type: 'float32' })],
  [0, ({ model = null, ...older }) => ({ ...older, format: 1, base: model })],
]);
const OLDER = { format: -1, features: D, model: 'test' };

/** A set as version -1 would have written it. */
async function older(cache: string): Promise<string> {
  const print = fingerprint(OLDER as unknown as SetSpec);
  const dir = join(cache, `test-${print.slice(0, 12)}`);
  await mkdir(dir);
  await writeFile(join(dir, '_set.json'), JSON.stringify(OLDER));
  const quarantined = { sha256: hex(99), path: 'a.jpg', stage: 'decode', message: 'cut' };
  await writeFile(join(dir, '_quarantine.jsonl'), `${JSON.stringify(quarantined)}\n`);
  for (const [maker, from, to] of [
    [MAKER, 0, 10],
    [{ ...MAKER, engineVersion: '2' }, 8, 20],
  ] as const) {
    const rows = Array.from({ length: to - from }, (_, i) => from + i);
    const keys = Buffer.concat(rows.map(key));
    const vectors = Float32Array.from(rows.flatMap((i) => [...vector(i, D)]));
    const part = encodePart({ spec: spec(D), fingerprint: print }, maker, keys, vectors);
    await writeFile(join(dir, part.name), part.bytes);
  }
  return dir;
}

test('there is one format so far, and what is newer or unknown is refused in one sentence', async (t) => {
  assert.deepEqual([...MIGRATIONS.keys()], []);
  const cache = await folder(t);
  const set = await FeatureSet.create(cache, 'test', spec(D));
  assert.deepEqual(await migrateSets(cache), []);
  for (const [format, message] of [
    [2, /format 2 of feature sets and this version reads format 1; use a newer version/],
    [0, /format 0 .* reads format 1; use the version that made it/],
    ['x', /format "x" .* reads format 1; put it back/],
  ] as const) {
    await writeFile(join(set.dir, '_set.json'), JSON.stringify({ ...spec(D), format }));
    await assert.rejects(FeatureSet.open(set.dir), { name: 'CacheError', message });
    await assert.rejects(listSets(cache), { name: 'CacheError', message });
    await assert.rejects(migrateSets(cache), { name: 'CacheError', message });
  }
});

test('an older set is brought to today, step by step, with every vector, maker and quarantined image', async (t) => {
  const cache = await folder(t);
  const dir = await older(cache);
  const told: object[] = [];
  const onProgress = (progress: object) => told.push(progress);
  const [done] = await migrateSets(cache, { migrations: STEPS, onProgress });
  assert.deepEqual(told[0], { done: 0, total: told.length, what: 'parts' });
  assert.deepEqual([done?.from, done?.format, done?.images], [basename(dir), -1, 20]);
  const sets = (await readdir(cache)).filter((name) => name.startsWith('test-'));
  assert.deepEqual(sets, [done?.set]);
  const set = await FeatureSet.create(cache, 'other', spec(D));
  assert.equal(set.dir, done?.dir);
  const expected = await FeatureSet.create(await folder(t), 'test', spec(D));
  const writer = expected.writer(MAKER);
  for (let i = 0; i < 20; i++) await writer.add(key(i), vector(i, D));
  await writer.close();
  assert.deepEqual(await bits(set), await bits(expected));
  assert.deepEqual((await set.info()).makers.map(({ engineVersion }) => engineVersion).sort(), ['1.2.3', '2']);
  assert.deepEqual(
    (await set.quarantine()).entries().map(({ path }) => path),
    ['a.jpg'],
  );
  assert.deepEqual(await migrateSets(cache, { migrations: STEPS }), []);
});

test('a crash at each operation loses nothing: the next run ends it', async (t) => {
  let operations = 0;
  const counting = await folder(t);
  await older(counting);
  const system = faulty(() => {
    operations++;
    return undefined;
  });
  const [whole] = await migrateSets(counting, { migrations: STEPS, system });
  const expected = await bits(await FeatureSet.open(whole?.dir ?? ''));
  for (let n = 0; n < operations; n++) {
    const cache = await folder(t);
    await older(cache);
    let count = 0;
    const crashing = faulty(() => (count++ === n ? new Crash('dead') : undefined), { pid: 99_999_999 });
    await migrateSets(cache, { migrations: STEPS, system: crashing }).catch((error: unknown) => {
      assert.ok(error instanceof Crash, `operation ${n}: ${error}`);
    });
    await migrateSets(cache, { migrations: STEPS });
    const set = await FeatureSet.create(cache, 'test', spec(D));
    assert.deepEqual(await bits(set), expected, `operation ${n}`);
    assert.deepEqual(await temporaries(set.dir), [], `operation ${n}`);
    assert.equal((await listSets(cache)).length, 1, `operation ${n}`);
  }
});

test('a damaged older set stays as it is', async (t) => {
  const cache = await folder(t);
  const dir = await older(cache);
  const [name = ''] = (await readdir(dir)).filter((file) => file.endsWith('.arrow'));
  await rename(join(dir, name), join(dir, `part-${'0'.repeat(32)}.arrow`));
  await writeFile(join(dir, `part-${'1'.repeat(32)}.arrow`), 'cut');
  await assert.rejects(migrateSets(cache, { migrations: STEPS }), CacheError);
  assert.ok((await readdir(dir)).includes('_set.json'));
});
