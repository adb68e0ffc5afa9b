import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/random.js';
import { FeatureSet } from '../../src/store/index.js';
import { long } from '../helpers/long.js';
import { needs } from '../helpers/peers.js';
import { bits, folder, hex, key, MAKER, spec, vector } from '../helpers/store.js';

/** A set of two machines: parts of a few images each, and a quarantine file each. */
async function written(t: TestContext, d = 3, images = 30): Promise<FeatureSet> {
  const set = await FeatureSet.create(await folder(t), 'test', spec(d));
  for (const machine of [0, 1]) {
    const writer = set.writer({ ...MAKER, engineVersion: `${machine}` });
    for (let i = 0; i < images; i++) {
      if (i % 2 !== machine) continue;
      await writer.add(key(i), vector(i, d));
      if (i % 10 > 7) await writer.flush();
    }
    await writer.close();
    const quarantine = await set.quarantine();
    quarantine.add({ sha256: hex(1000 + machine), path: `${machine}.jpg`, stage: 'decode', message: 'cut' });
    await quarantine.flush();
  }
  return set;
}

const asideIn = async (set: FeatureSet): Promise<string[]> =>
  (await set.quarantine())
    .entries()
    .map(({ path }) => path)
    .sort();

/** What has arrived is a set with fewer images, or is refused by a sentence that says what is missing. */
async function checkArrived(dir: string, names: ReadonlySet<string>, all: ReadonlyMap<string, string>): Promise<void> {
  if (!names.has('_set.json')) {
    const wanted =
      names.size === 0 ? /is not a feature set/ : /has files of a feature set but no _set.json, which says/;
    await assert.rejects(FeatureSet.open(dir), { name: 'CacheError', message: wanted });
    return;
  }
  const set = await FeatureSet.open(dir);
  const found = await bits(set);
  for (const [hash, value] of found) assert.equal(value, all.get(hash));
  assert.equal(
    found.size > 0,
    [...names].some((name) => name.endsWith('.arrow')),
  );
  const aside = [...names].filter((name) => name.startsWith('_quarantine-')).length;
  assert.equal((await asideIn(set)).length, aside);
}

test('a copy in any order, stopped after each file and within each, is a set with fewer images', async (t) => {
  const source = await written(t);
  const all = await bits(source);
  const random = new Random('orders');
  const names = (await readdir(source.dir)).sort();
  assert.ok(names.length > 6 && names.includes('_set.json'), `${names}`);
  for (let round = 0; round < (long ? 200 : 12); round++) {
    const order = Array.from(random.permutation(names.length), (i) => names[i] as string);
    const dir = join(await folder(t), basename(source.dir));
    await mkdir(dir);
    const arrived = new Set<string>();
    await checkArrived(dir, arrived, all);
    for (const name of order) {
      const place = join(dir, name);
      await copyFile(join(source.dir, name), place);
      const { length } = await readFile(place);
      await truncate(place, random.below(length));
      await checkCut(dir, name, arrived, all);
      await copyFile(join(source.dir, name), place);
      arrived.add(name);
      await checkArrived(dir, arrived, all);
    }
    assert.deepEqual(await bits(await FeatureSet.open(dir)), all);
    assert.deepEqual(await asideIn(await FeatureSet.open(dir)), ['0.jpg', '1.jpg']);
  }
});

/** A file whose copy was stopped within it is told; what it held counts as missing. */
async function checkCut(
  dir: string,
  name: string,
  arrived: ReadonlySet<string>,
  all: ReadonlyMap<string, string>,
): Promise<void> {
  if (name === '_set.json') {
    await assert.rejects(FeatureSet.open(dir), { name: 'CacheError', message: /_set\.json is damaged/ });
    return;
  }
  if (!arrived.has('_set.json')) return checkArrived(dir, new Set([...arrived, name]), all);
  const set = await FeatureSet.open(dir);
  if (!name.endsWith('.arrow')) {
    assert.deepEqual((await set.quarantine()).damaged, [name]);
    return;
  }
  await assert.rejects(bits(set), ({ name: kind, message }) => kind === 'CacheError' && message.includes(name));
  const told: string[] = [];
  const held = await set.keys(({ message }) => told.push(message));
  assert.equal(told.length, 1);
  for (let i = 0; i < held.size; i++) assert.ok(all.has(Buffer.from(held.at(i)).toString('hex')));
}

test('a run beside a copy: what it adds and what arrives later are one set', async (t) => {
  const source = await written(t);
  const all = await bits(source);
  const cache = await folder(t);
  const dir = join(cache, basename(source.dir));
  await mkdir(dir);
  const names = (await readdir(source.dir)).filter((name) => name !== '_set.json');
  for (const name of names.slice(0, 3)) await copyFile(join(source.dir, name), join(dir, name));
  const set = await FeatureSet.create(cache, 'here', source.spec);
  assert.equal(set.dir, dir);
  const held = await set.keys();
  const writer = set.writer(MAKER);
  for (let i = 0; i < 30; i++) if (!held.has(key(i))) await writer.add(key(i), vector(i, 3));
  await writer.close();
  assert.deepEqual(await readFile(join(dir, '_set.json')), await readFile(join(source.dir, '_set.json')));
  for (const name of await readdir(source.dir)) await copyFile(join(source.dir, name), join(dir, name));
  assert.deepEqual(await bits(await FeatureSet.open(dir)), all);
});

const hasRclone = needs(spawnSync('rclone', ['version']).status === 0, 'needs rclone');

/** As `checkArrived`, where files may be cut: an rclone before 1.63 writes them in their place. */
async function checkStopped(dir: string, all: ReadonlyMap<string, string>): Promise<void> {
  const set = await FeatureSet.open(dir).catch((error: Error) => error);
  if (set instanceof Error) {
    assert.match(set.message, /is not a feature set|no _set\.json, which says|_set\.json is damaged/);
    return;
  }
  const told: string[] = [];
  const held = await set.keys(({ message }) => told.push(message));
  for (let i = 0; i < held.size; i++) assert.ok(all.has(Buffer.from(held.at(i)).toString('hex')));
  for (const message of told) assert.match(message, /part-[0-9a-f]{32}\.arrow is damaged/);
}

test('rclone copies two machines into one place, killed on the way, and the rest follows', hasRclone, async (t) => {
  const d = 4000;
  const source = await written(t, d, 300);
  const all = await bits(source);
  const config = join(await folder(t), 'rclone.conf');
  await writeFile(config, '');
  const dir = join(await folder(t), basename(source.dir));
  const flags = ['--config', config, '--exclude', '_tmp-*', '--transfers', '2'];
  let stopped = 0;
  for (const after of [150, 400, 800]) {
    const child = spawn('rclone', ['copy', source.dir, dir, ...flags, '--bwlimit', '1M'], { stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), after);
    const [, signal] = await once(child, 'close');
    clearTimeout(timer);
    if (signal === 'SIGKILL') stopped++;
    await checkStopped(dir, all);
  }
  assert.ok(stopped > 0, 'some copy must be stopped, or nothing was tested');
  assert.equal(spawnSync('rclone', ['copy', source.dir, dir, ...flags]).status, 0);
  assert.deepEqual(await bits(await FeatureSet.open(dir)), all);
  const before = (await readdir(dir)).sort();
  assert.equal(spawnSync('rclone', ['copy', source.dir, dir, ...flags]).status, 0);
  assert.deepEqual((await readdir(dir)).sort(), before, 'a second copy changes nothing');
});
