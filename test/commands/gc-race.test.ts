import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, utimesSync } from 'node:fs';
import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { baseDigest } from '../../src/base/index.js';
import { collectGarbage, compactSets, listSets } from '../../src/commands/cache/index.js';
import { openSets } from '../../src/commands/cache/list.js';
import { realSystem, takeOut, treeSize } from '../../src/files/index.js';
import { HeadPredictor, loadHead } from '../../src/heads/index.js';
import { JoinedSets } from '../../src/heads/joined-sets.js';
import { sweepFile, sweepTable } from '../../src/heads/sweep-table.js';
import { FeatureSet, features } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { pictures } from '../helpers/pictures.js';
import { saveQuickHead } from '../helpers/saved-head.js';
import { bits, Crash, faulty, folder, key, MAKER, memoryFolder, type Operation, vector } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;
const DAY = 24 * 60 * 60 * 1000;

/** All files of a cache as if nothing had used them for two days. */
async function age(cache: string): Promise<void> {
  const then = new Date(Date.now() - 2 * DAY);
  for (const name of await readdir(cache, { recursive: true })) await utimes(path.join(cache, name), then, then);
}

const strays = (names: readonly string[]): string[] => names.filter((name) => /_(tmp|aside)-/.test(name));

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function theSet(cache: string): Promise<FeatureSet> {
  const name = (await readdir(cache)).find((one) => /-[0-9a-f]{12}$/.test(one));
  return FeatureSet.open(path.join(cache, name ?? 'none'));
}

test('features, gc and compact at once, again and again: nothing is lost and nothing fails', async (t) => {
  const data = await pictures(t, 9);
  const cache = path.join(await memoryFolder(t), 'cache');
  const options = { ...BASE, data, cache, partRows: 2, threads: 1 };
  await features(options);
  const whole = await bits(await theSet(cache));
  assert.equal(whole.size, 9);
  const random = new Random('race');
  let taken = 0;
  for (let round = 0; round < (long ? 100 : 12); round++) {
    await age(cache);
    const delays = [0, 0, 0].map(() => random.below(15));
    const [ran, gone] = await Promise.all([
      after(delays[0] ?? 0).then(() => features(options)),
      after(delays[1] ?? 0).then(() => collectGarbage(cache, { olderThan: DAY, yes: true })),
      after(delays[2] ?? 0).then(() => compactSets(cache)),
    ]);
    if (gone.garbage.some(({ kind }) => kind === 'set')) taken++;
    const where = `round ${round}, ${delays}: ${JSON.stringify({ ...ran, taken: gone.garbage })}`;
    assert.deepEqual(await bits(await theSet(cache)), whole, where);
    const kept = (await readdir(path.join(cache, 'bases'))).filter((name) => /^[0-9a-f]{32}$/.test(name));
    assert.equal(kept.length, 1, where);
    assert.ok(existsSync(path.join(cache, 'bases', kept[0] ?? '', 'base.json')), where);
    assert.deepEqual(strays(await readdir(cache, { recursive: true })), [], where);
  }
  t.diagnostic(`gc took the set in ${taken} rounds`);
});

test('the same as commands', { skip: !long }, async (t) => {
  const data = await pictures(t, 9);
  const work = await memoryFolder(t);
  const cache = path.join(work, 'cache');
  const base = ['--base', BASE.base, '--layer', 'maps', '--preprocess', 'tf'];
  const run = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await permafrost([...args, '--cache', cache], work);
    assert.equal(code, 0, `${args[0]} ${args[1]}: ${stderr}`);
    assert.doesNotMatch(stderr, /check the disk/);
  };
  await run('features', '--data', data, ...base);
  const whole = await bits(await theSet(cache));
  for (let round = 0; round < 100; round++) {
    await age(cache);
    await Promise.all([
      run('features', '--data', data, ...base),
      run('cache', 'gc', '--older-than', '1d', '--yes'),
      run('cache', 'compact'),
    ]);
    assert.deepEqual(await bits(await theSet(cache)), whole, `round ${round}`);
  }
});

test('what comes into use while it is moved aside is put back, beside what was made in its place', async (t) => {
  const dir = await folder(t);
  const place = path.join(dir, 'set');
  await mkdir(place);
  for (const name of ['a', 'b']) await writeFile(path.join(place, name), `old ${name}`);
  let looks = 0;
  const went = await takeOut(realSystem, place, async (at) => {
    if (++looks === 1) return false;
    assert.notEqual(at, place);
    await mkdir(place);
    await writeFile(path.join(place, 'b'), 'new b');
    return true;
  });
  assert.deepEqual([went, looks], [false, 2]);
  assert.deepEqual((await readdir(dir)).concat(await readdir(place)), ['set', 'a', 'b']);
  assert.equal(await takeOut(realSystem, place, async () => true), false);
  assert.equal(await takeOut(realSystem, place, async () => false), true);
  assert.deepEqual(await readdir(dir), []);
  assert.equal(await takeOut(realSystem, place, async () => false), false, 'another took it');
});

/** Sets with their bases, vector bits of all sets, and whether each base is there. */
async function holdings(cache: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const set of await openSets(cache)) {
    const base = path.join(cache, 'bases', baseDigest(set.spec as unknown as { graph: string; weights: string }));
    found[path.basename(set.dir)] = [[...(await bits(set))], existsSync(path.join(base, 'base.json'))];
  }
  return found;
}

const CHANGES: readonly Operation[] = ['makeFolder', 'rename', 'unlink', 'removeFolder', 'syncFolder'];

/** What commands do first: a base that is needed, the set of a fingerprint, its folder. */
const NEXT = [
  async ({ cache, set }: { cache: string; set: FeatureSet }) => void (await FeatureSet.find(cache, set.fingerprint)),
  async ({ set }: { set: FeatureSet }) => void (await FeatureSet.open(set.dir)),
  async ({ cache, set }: { cache: string; set: FeatureSet }) =>
    void (await FeatureSet.create(cache, 'base0', set.spec)),
  async ({ set }: { set: FeatureSet }) => set.hold(),
  async ({ cache }: { cache: string }) => void (await listSets(cache)),
  async ({ cache }: { cache: string }) => void (await collectGarbage(cache)),
];

test('gc killed at any step: what came into use is put back by the next command, all else is there or gone as a whole', async (t) => {
  for (const used of [true, false]) {
    for (let n = 0, isOver = false; !isOver; n++) {
      const cache = path.join(await memoryFolder(t), 'cache');
      const set = await make(cache, 0);
      await age(cache);
      const whole = await holdings(cache);
      let count = 0;
      const fault = (operation: Operation): Error | undefined => {
        if (operation === 'rename' && used) utimesSync(path.join(set.dir, '_set.json'), new Date(), new Date());
        return CHANGES.includes(operation) && count++ === n ? new Crash('killed') : undefined;
      };
      const system = faulty(fault, { pid: 99_999_999 });
      await collectGarbage(cache, { unreferenced: true, yes: true, system }).catch((error: Error) => error);
      isOver = count <= n;
      const where = `${used ? 'used' : 'unused'}, operation ${n}`;
      if (used) {
        const next = NEXT[n % NEXT.length] as (typeof NEXT)[number];
        await next({ cache, set });
        await collectGarbage(cache, { yes: true });
        assert.deepEqual(await holdings(cache), whole, where);
      } else {
        const left = await holdings(cache);
        assert.ok(isDeepStrictEqual(left, {}) || isDeepStrictEqual(left, whole), where);
        await collectGarbage(cache, { unreferenced: true, yes: true });
        assert.deepEqual(await readdir(cache), ['bases'], where);
        assert.deepEqual(await readdir(path.join(cache, 'bases')), [], where);
      }
      assert.deepEqual(strays(await readdir(cache, { recursive: true })), [], where);
    }
  }
});

test('the same with a process that is really killed', async (t) => {
  const helper = fileURLToPath(new URL('../helpers/gc-disturbed.js', import.meta.url));
  for (const n of long ? Array.from({ length: 12 }, (_, i) => i + 1) : [3]) {
    const cache = path.join(await memoryFolder(t), 'cache');
    await make(cache, 0);
    await make(cache, 1);
    await age(cache);
    const whole = await holdings(cache);
    const { signal, status, stderr } = spawnSync(process.execPath, [helper, cache, String(n), 'used']);
    assert.ok(signal === 'SIGKILL' || (status === 0 && n > 3), `step ${n}: ${status} ${stderr}`);
    if (n === 3) assert.ok(strays(await readdir(cache, { recursive: true })).length > 0, 'it was killed on the way');
    assert.deepEqual(await holdings(cache), whole, `step ${n}`);
    await collectGarbage(cache, { yes: true });
    assert.deepEqual(strays(await readdir(cache, { recursive: true })), [], `step ${n}`);
  }
});

test('a run whose set is taken out makes it anew', async (t) => {
  const cache = await folder(t);
  const set = await FeatureSet.create(cache, 'x', { format: 1, features: 4, type: 'float32' });
  const writer = set.writer(MAKER);
  await writer.add(key(1), vector(1, 4));
  await writer.flush();
  await rm(set.dir, { recursive: true });
  await writer.add(key(2), vector(2, 4));
  await writer.close();
  assert.deepEqual([...(await bits(await FeatureSet.open(set.dir))).keys()], [Buffer.from(key(2)).toString('hex')]);
  await rm(set.dir, { recursive: true });
  await set.hold();
  assert.equal((await FeatureSet.open(set.dir)).fingerprint, set.fingerprint);
});

/** A set of ten contents and its kept base, unused for two days. */
async function make(cache: string, i: number): Promise<FeatureSet> {
  const digests = { graph: `graph ${i}`, weights: `weights ${i}` };
  const set = await FeatureSet.create(cache, `base${i}`, { format: 1, features: 2 + i, type: 'float32', ...digests });
  const writer = set.writer(MAKER);
  for (let row = 0; row < 10; row++) await writer.add(key(row), vector(row + i, 2 + i));
  await writer.close();
  const kept = path.join(cache, 'bases', baseDigest(digests));
  await mkdir(kept, { recursive: true });
  await writeFile(path.join(kept, 'base.json'), '{}');
  return set;
}

/** What the heads of a cache say of the ten contents, bit for bit. */
async function answers(cache: string): Promise<string[]> {
  const said: string[] = [];
  const heads = path.join(cache, 'heads');
  for (const name of existsSync(heads) ? (await readdir(heads)).sort() : []) {
    const head = await loadHead(path.join(heads, name));
    const sets: FeatureSet[] = [];
    for (const { fingerprint, set } of [head.info, ...head.info.joined]) {
      const found = await FeatureSet.find(cache, fingerprint);
      assert.ok(found, `a set of ${name} is there`);
      sets.push(found);
      const base = baseDigest(set as { graph: string; weights: string });
      assert.ok(existsSync(path.join(cache, 'bases', base)), `a base of ${name} is there`);
    }
    const { vectors, rows } = await JoinedSets.of(sets).read(
      Array.from({ length: 10 }, (_, i) => Buffer.from(key(i)).toString('hex')),
    );
    assert.equal(rows.size, 10);
    const predictor = await HeadPredictor.open(head);
    for await (const { x } of vectors.blocks(Uint32Array.from({ length: rows.size }, (_, row) => row)))
      said.push(Buffer.from((await predictor.predict(x, 10)).buffer).toString('hex'));
    await predictor.release();
  }
  return said;
}

async function oneCache(t: TestContext, random: Random): Promise<string> {
  const cache = await memoryFolder(t);
  const sets: FeatureSet[] = [];
  for (let i = 0; i < 2 + random.below(4); i++) sets.push(await make(cache, i));
  const some = (): FeatureSet[] => {
    const taken = sets.filter(() => random.below(3) === 0);
    return taken.length > 0 ? taken : [sets[random.below(sets.length)] as FeatureSet];
  };
  for (let i = 0; i < random.below(4); i++) {
    const facts = some().map(({ fingerprint, spec }) => ({ fingerprint, set: { ...spec } }));
    await saveQuickHead(path.join(cache, 'heads', `head${i}`), facts);
  }
  for (let i = 0; i < random.below(3); i++) {
    await mkdir(path.join(cache, 'sweeps', `sweep${i}`), { recursive: true });
    const facts = { sets: some().map(({ fingerprint }) => fingerprint) };
    await writeFile(path.join(cache, 'sweeps', `sweep${i}`, 'results.arrow'), sweepFile(sweepTable([], []), facts));
  }
  await age(cache);
  return cache;
}

test('property: after gc --unreferenced every head says the same bits, sweeps keep their sets, and what was freed was announced', async (t) => {
  let freed = 0;
  for (let round = 0; round < (long ? 200 : 8); round++) {
    const random = new Random(`gc ${round}`);
    const cache = await oneCache(t, random);
    const before = await answers(cache);
    const size = await treeSize(realSystem, cache);
    const announced = await collectGarbage(cache, { unreferenced: true });
    assert.equal(await treeSize(realSystem, cache), size, 'a plan does nothing');
    const done = await collectGarbage(cache, { unreferenced: true, yes: true });
    assert.equal(done.frees, announced.frees, `round ${round}`);
    assert.equal(size - (await treeSize(realSystem, cache)), announced.frees, `round ${round}`);
    assert.deepEqual(await answers(cache), before, `round ${round}`);
    assert.deepEqual((await collectGarbage(cache, { unreferenced: true })).garbage, []);
    freed += done.frees;
  }
  assert.ok(freed > 0);
});

test('labels and a largest size count each set once', async (t) => {
  const cache = await folder(t);
  const sets = [await make(cache, 0), await make(cache, 1), await make(cache, 2)];
  await age(cache);
  const labels = path.join(await folder(t), 'l.csv');
  await writeFile(labels, `sha256,label\n${Buffer.from(key(0)).toString('hex')},a\n`);
  const size = await treeSize(realSystem, cache);
  const plan = await collectGarbage(cache, { unreferenced: true, labels: [labels], maxSize: 1 });
  assert.deepEqual(
    plan.garbage.filter(({ kind }) => kind !== 'base').map(({ kind, path: place }) => [kind, place]),
    sets.map(({ dir }) => ['set', dir]),
  );
  assert.equal(plan.frees, size);
});
