import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { baseDigest } from '../../src/base/index.js';
import { seal } from '../../src/base/sealed.js';
import { sha256Hex } from '../../src/canonical.js';
import { collectGarbage, listSets } from '../../src/commands/cache/index.js';
import { CacheError, DataError, UsageError } from '../../src/errors.js';
import { PIXELS_REVISIONS } from '../../src/images/index.js';
import { FeatureSet, realSystem, type SetSpec } from '../../src/store/index.js';
import { fixture } from '../helpers/fixtures.js';
import { saveQuickHead } from '../helpers/saved-head.js';
import { bits, folder, hex, key, MAKER, temporaries, vector } from '../helpers/store.js';

const DAY = 24 * 60 * 60 * 1000;
const digests = (i: number) => ({ graph: `graph ${i}`, weights: `weights ${i}` });

/** A set with its kept base, last used some days ago. */
async function make(cache: string, i: number, days: number, rows = 20): Promise<FeatureSet> {
  const spec: SetSpec = { format: 1, features: 4, type: 'float32', ...digests(i) };
  const set = await FeatureSet.create(cache, `base${i}`, spec);
  const writer = set.writer(MAKER);
  for (let row = 0; row < rows; row++) await writer.add(key(row), vector(row, 4));
  await writer.close();
  const kept = join(cache, 'bases', baseDigest(digests(i)));
  await mkdir(kept, { recursive: true });
  await writeFile(join(kept, 'base.json'), '{}');
  await writeFile(join(kept, 'weights.f32'), new Uint8Array(1000));
  const opened = seal({ key: `${i}`, name: 'x', spec, base: baseDigest(digests(i)) });
  await writeFile(join(cache, 'bases', `_opened-${i}.json`), opened);
  await set.markUsed();
  const then = new Date(Date.now() - days * DAY);
  for (const name of await readdir(set.dir)) await utimes(join(set.dir, name), then, then);
  return set;
}

const makeHead = (cache: string, name: string, ...sets: FeatureSet[]): Promise<void> =>
  saveQuickHead(
    join(cache, 'heads', name),
    sets.map(({ fingerprint, spec }) => ({ fingerprint, set: { ...spec } })),
  );

async function three(t: TestContext): Promise<{ cache: string; sets: FeatureSet[] }> {
  const cache = await folder(t);
  const sets = [await make(cache, 0, 40), await make(cache, 1, 20), await make(cache, 2, 2)];
  await makeHead(cache, 'sweep/v1.best', sets[0] as FeatureSet);
  return { cache, sets };
}

const names = async (cache: string): Promise<string[]> => (await listSets(cache)).map(({ base }) => base);
const everything = async (cache: string): Promise<string[]> => (await readdir(cache, { recursive: true })).sort();

test('by age: a dry run changes nothing, then the set, its base and its shortcut go; a head keeps its base', async (t) => {
  const { cache, sets } = await three(t);
  const before = await everything(cache);
  const planned = await collectGarbage(cache, { olderThan: 10 * DAY });
  assert.deepEqual(await everything(cache), before);
  assert.equal(planned.done, false);
  assert.deepEqual(
    planned.garbage.map(({ kind, path }) => [kind, basename(path)]),
    [
      ['set', basename(sets[0]?.dir ?? '')],
      ['set', basename(sets[1]?.dir ?? '')],
      ['base', baseDigest(digests(1))],
      ['shortcut', '_opened-1.json'],
    ],
  );
  assert.match(planned.garbage[0]?.reason ?? '', /not used for 40 days/);
  const done = await collectGarbage(cache, { olderThan: 10 * DAY, yes: true });
  assert.equal(done.frees, planned.frees);
  assert.deepEqual(await names(cache), ['base2']);
  const bases = await readdir(join(cache, 'bases'));
  assert.deepEqual(
    bases.sort(),
    ['_opened-0.json', '_opened-2.json', baseDigest(digests(0)), baseDigest(digests(2))].sort(),
  );
  assert.deepEqual(await temporaries(cache), []);
  assert.deepEqual((await collectGarbage(cache, { olderThan: 10 * DAY })).garbage, []);
});

test('by size: the least recently used go until the rest fits', async (t) => {
  const { cache } = await three(t);
  const { size } = await collectGarbage(cache);
  assert.deepEqual((await collectGarbage(cache, { maxSize: size })).garbage, []);
  await collectGarbage(cache, { maxSize: size - 1, yes: true });
  assert.deepEqual(await names(cache), ['base1', 'base2']);
  await collectGarbage(cache, { maxSize: 0, yes: true });
  assert.deepEqual(await names(cache), []);
  assert.ok((await readdir(join(cache, 'heads'))).includes('sweep'));
});

test('unreferenced: sets without a head go', async (t) => {
  const { cache } = await three(t);
  await collectGarbage(cache, { unreferenced: true, yes: true });
  assert.deepEqual(await names(cache), ['base0']);
});

test('all sets of a head on joined sets are referenced, and their bases', async (t) => {
  const { cache, sets } = await three(t);
  await makeHead(cache, 'joined', sets[1] as FeatureSet, sets[2] as FeatureSet);
  await collectGarbage(cache, { unreferenced: true, yes: true });
  assert.deepEqual(await names(cache), ['base0', 'base1', 'base2']);
  await collectGarbage(cache, { maxSize: 0, yes: true });
  const bases = await readdir(join(cache, 'bases'));
  for (const i of [0, 1, 2]) assert.ok(bases.includes(baseDigest(digests(i))), `base ${i}`);
});

test('unreferenced with labels: vectors that no file names go, whatever is named stays', async (t) => {
  const { cache, sets } = await three(t);
  const data = join(await folder(t), 'data');
  await mkdir(data);
  await copyFile(fixture('images/rgb.jpg'), join(data, 'a.jpg'));
  const picture = sha256Hex(await readFile(join(data, 'a.jpg')));
  const [set] = sets as [FeatureSet];
  const writer = set.writer(MAKER);
  await writer.add(Buffer.from(picture, 'hex'), vector(77, 4));
  await writer.close();
  const old = new Date(Date.now() - DAY);
  for (const name of await readdir(set.dir)) await utimes(join(set.dir, name), old, old);
  const byHash = join(cache, 'labels.jsonl');
  await writeFile(byHash, [3, 5].map((i) => JSON.stringify({ sha256: hex(i), label: 'x' })).join('\n'));
  const byPath = join(cache, 'labels.csv');
  await writeFile(byPath, 'path,label\na.jpg,y\n');
  const labels = [byHash, byPath];
  await assert.rejects(collectGarbage(cache, { unreferenced: true, labels }), {
    name: 'DataError',
    message:
      /labels\.csv: 1 of its 1 images not found, the first a\.jpg on line 2 \(give the folder of the images with --data\)/,
  });
  const before = await bits(set);
  const told: number[][] = [];
  const onProgress = ({ done, total }: { done: number; total: number | null }) =>
    told.push([done, total ?? Number.NaN]);
  await collectGarbage(cache, { unreferenced: true, labels, data, yes: true, onProgress });
  assert.deepEqual(told, [
    [1, 1],
    [1, 1],
    [1, 2],
    [2, 2],
  ]); // three sets
  const after = await bits(set);
  assert.deepEqual([...after.keys()].sort(), [hex(3), hex(5), picture].sort());
  for (const [name, value] of after) assert.equal(value, before.get(name));
  assert.deepEqual(await names(cache), ['base0', 'base1', 'base2']);
  await writeFile(byHash, JSON.stringify({ sha256: hex(500), label: 'x' }));
  await collectGarbage(cache, { unreferenced: true, labels: [byHash], yes: true });
  assert.deepEqual(await names(cache), ['base0', 'base1', 'base2'], 'they were written a moment ago');
  const later = { ...realSystem, now: () => Date.now() + DAY };
  await collectGarbage(cache, { unreferenced: true, labels: [byHash], yes: true, system: later });
  assert.deepEqual(await names(cache), ['base0'], 'a head was trained on it');
});

test('unreferenced with labels: names are matched as train matches them, and none goes where one leads nowhere', async (t) => {
  const { cache, sets } = await three(t);
  const data = join(await folder(t), 'data');
  await mkdir(join(data, 'Ants'), { recursive: true });
  const [set] = sets as [FeatureSet];
  const writer = set.writer(MAKER);
  const pictures: string[] = [];
  for (const [i, name] of ['A1.jpg', 'caf\u00e9.jpg', 'c.jpg'].entries()) {
    const place = join(data, 'Ants', name);
    await writeFile(place, Buffer.concat([await readFile(fixture('images/rgb.jpg')), Buffer.of(i)]));
    pictures.push(sha256Hex(await readFile(place)));
    await writer.add(Buffer.from(pictures[i] as string, 'hex'), vector(70 + i, 4));
  }
  await writer.close();
  const later = { ...realSystem, now: () => Date.now() + DAY };
  const labels = [join(cache, 'labels.csv')];
  const gc = { unreferenced: true, labels, data, system: later };
  const lines = ['path,label', 'ants\\a1.JPG,x', 'cafe\u0301,y'];
  await writeFile(labels[0] as string, [...lines, 'd.jpg,y', 'e.jpg,y'].join('\n'));
  const before = await bits(set);
  await assert.rejects(collectGarbage(cache, { ...gc, yes: true }), {
    name: 'DataError',
    message:
      /2 of its 4 images not found, the first d\.jpg on line 4 \(the nearest file is Ants\/c\.jpg: the name differs\)/,
  });
  await writeFile(labels[0] as string, 'path,label\n');
  await assert.rejects(collectGarbage(cache, { ...gc, yes: true }), { name: 'LabelError', message: /holds no labels/ });
  assert.deepEqual(await bits(set), before, 'nothing went');
  await writeFile(labels[0] as string, lines.join('\n'));
  await collectGarbage(cache, { ...gc, yes: true });
  assert.deepEqual([...(await bits(set)).keys()].sort(), pictures.slice(0, 2).sort());
});

test('a set that may be in use is left alone; leftovers of dead runs go, those of live ones stay', async (t) => {
  const { cache, sets } = await three(t);
  await sets[0]?.markUsed();
  const dead = `_tmp-${realSystem.host}-99999999-0123456789ab`;
  const live = `_tmp-${realSystem.host}-${process.ppid}-0123456789ab`;
  for (const place of [cache, join(cache, 'bases'), sets[2]?.dir ?? '']) {
    await mkdir(join(place, dead));
    await writeFile(join(place, dead, 'x'), 'x');
    await writeFile(join(place, live), 'x');
  }
  const { inUse } = await collectGarbage(cache, { maxSize: 0, yes: true });
  assert.deepEqual(inUse, [sets[0]?.dir]);
  assert.deepEqual(await names(cache), ['base0']);
  const rest = await collectGarbage(cache, { yes: true });
  assert.deepEqual(rest.garbage, []);
  assert.deepEqual((await temporaries(cache)).sort(), [live, join('bases', live)].sort());
});

test('what is needed must be known', async (t) => {
  const { cache } = await three(t);
  await assert.rejects(collectGarbage(cache, { labels: ['x.csv'] }), UsageError);
  await assert.rejects(collectGarbage(cache, { unreferenced: true, labels: [join(cache, 'none.csv')] }), DataError);
  await assert.rejects(collectGarbage(join(cache, 'none')), CacheError);
  await mkdir(join(cache, 'heads', 'cut'));
  await writeFile(join(cache, 'heads', 'cut', 'head.json'), '{"fingerprint":');
  await assert.rejects(collectGarbage(cache, { olderThan: 0 }), { name: 'CacheError', message: /cut.*is not JSON/ });
});

test('superseded: sets made from pixels of an older revision go, and no others', async (t) => {
  const cache = await folder(t);
  const image = (mode: keyof typeof PIXELS_REVISIONS, back: number) => ({
    mode,
    pixels: PIXELS_REVISIONS[mode] - back,
  });
  const specs: SetSpec[] = [image('photo', 0), image('photo', 1), image('keras', 1), image('keras', 0)].map((image) => {
    return { format: 1, features: 4, type: 'float32', image };
  });
  const dirs: string[] = [];
  for (const spec of specs) {
    const set = await FeatureSet.create(cache, 'base', spec);
    await set.markUsed();
    const then = new Date(Date.now() - DAY);
    for (const name of await readdir(set.dir)) await utimes(join(set.dir, name), then, then);
    dirs.push(set.dir);
  }
  assert.deepEqual((await collectGarbage(cache)).garbage, []);
  const { garbage } = await collectGarbage(cache, { superseded: true, yes: true });
  assert.deepEqual(garbage.map(({ path }) => path).sort(), [dirs[1], dirs[2]].sort());
  const now = PIXELS_REVISIONS.photo;
  const reason = garbage.find(({ path }) => path === dirs[1])?.reason;
  assert.equal(reason, `made from photo pixels of revision ${now - 1}, and this version gives revision ${now}`);
  assert.deepEqual((await readdir(cache)).sort(), [dirs[0], dirs[3]].map((dir) => basename(dir ?? '')).sort());
});
