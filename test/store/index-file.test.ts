import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileIndex, realSystem } from '../../src/store/index.js';
import { FakeClock, faulty, folder, hex, systemError } from '../helpers/store.js';

const clock = new FakeClock();
const system = { ...realSystem, now: clock.now };
const HOUR = 3_600_000;

/** A file last written an hour ago. */
const file = (i: number, more: { size?: number; mtimeNs?: bigint; ino?: bigint } = {}) => ({
  absolute: `/photos/${i}.jpg`,
  size: 1000 + i,
  mtimeNs: BigInt(clock.now() - HOUR) * 1_000_000n + BigInt(i),
  ino: 2n ** 60n + BigInt(i),
  ...more,
});

test('what was saved is known to the next run, for exactly the same file', async (t) => {
  const cache = await folder(t);
  const index = await FileIndex.open(join(cache, 'not', 'yet'), { system });
  assert.equal(index.lookup(file(1)), null);
  index.remember(file(1), { sha256: hex(1) });
  index.remember(file(2), { other: true });
  assert.deepEqual(index.lookup(file(1)), { sha256: hex(1) });
  await index.save();
  const next = await FileIndex.open(join(cache, 'not', 'yet'), { system });
  assert.deepEqual(next.lookup(file(1)), { sha256: hex(1) });
  assert.deepEqual(next.lookup(file(2)), { other: true });
  assert.equal(next.lookup(file(3)), null);
  assert.equal(next.lookup(file(1, { size: 1002 })), null);
  assert.equal(next.lookup(file(1, { mtimeNs: file(1).mtimeNs + 1n })), null);
  assert.equal(next.lookup(file(1, { ino: 5n })), null);
  next.remember(file(1, { size: 7 }), { sha256: hex(9) });
  await next.save();
  const last = await FileIndex.open(join(cache, 'not', 'yet'), { system });
  assert.equal(last.lookup(file(1)), null);
  assert.deepEqual(last.lookup(file(1, { size: 7 })), { sha256: hex(9) });
});

test('a file written within 2 s of its reading, or later, is not trusted', async (t) => {
  const cache = await folder(t);
  const index = await FileIndex.open(cache, { system });
  const at = (ms: number) => ({ mtimeNs: BigInt(clock.now() + ms) * 1_000_000n });
  for (const ms of [-1999, 0, 5000, HOUR]) {
    index.remember(file(1, at(ms)), { sha256: hex(1) });
    assert.equal(index.lookup(file(1, at(ms))), null, `${ms}`);
  }
  index.remember(file(1, at(-2000)), { sha256: hex(1) });
  assert.deepEqual(index.lookup(file(1, at(-2000))), { sha256: hex(1) });
  // A long reading: what counts is when it began.
  index.remember(file(2, at(-5000)), { sha256: hex(2) }, clock.now() - 4000);
  assert.equal(index.lookup(file(2, at(-5000))), null);
  // An entry is taken back when its file is read again too soon after a change.
  index.remember(file(1, at(-2000)), { sha256: hex(3) }, clock.now() - 1000);
  assert.equal(index.lookup(file(1, at(-2000))), null);
  await index.save();
  assert.equal((await FileIndex.open(cache, { system })).lookup(file(1, at(-2000))), null);
});

test('runs at once keep what each has found; segments are merged', async (t) => {
  const cache = await folder(t);
  const runs = await Promise.all([0, 1, 2].map(() => FileIndex.open(cache, { system })));
  for (const [i, run] of runs.entries()) run.remember(file(i), { sha256: hex(i) });
  await Promise.all(runs.map((run) => run.save()));
  for (let i = 3; i < 20; i++) {
    const run = await FileIndex.open(cache, { system });
    assert.equal(run.size, i);
    run.remember(file(i), { sha256: hex(i) });
    await run.save();
    await run.save();
  }
  assert.ok((await readdir(join(cache, '_index'))).length < 8);
  const last = await FileIndex.open(cache, { system });
  for (let i = 0; i < 20; i++) assert.deepEqual(last.lookup(file(i)), { sha256: hex(i) });
});

test('a damaged, cut or foreign segment only costs hashing', async (t) => {
  const cache = await folder(t);
  const index = await FileIndex.open(cache, { system });
  for (let i = 0; i < 50; i++) index.remember(file(i), { sha256: hex(i) });
  await index.save();
  const dir = join(cache, '_index');
  const [name = ''] = await readdir(dir);
  const whole = await readFile(join(dir, name));
  for (let at = 0; at < whole.length; at += 13) {
    const bytes = Uint8Array.from(whole);
    bytes[at] = (bytes[at] as number) ^ 4;
    await writeFile(join(dir, name), bytes);
    const damaged = await FileIndex.open(cache, { system });
    for (let i = 0; i < 50; i += 7) assert.equal(damaged.lookup(file(i)), null, `byte ${at}`);
  }
  await writeFile(join(dir, name), whole);
  await truncate(join(dir, name), whole.length - 1);
  assert.equal((await FileIndex.open(cache, { system })).size, 0);
  await rm(dir, { recursive: true });
  await writeFile(dir, 'a file where the folder should be');
  const none = await FileIndex.open(cache, { system });
  none.remember(file(1), { sha256: hex(1) });
  await none.save();
  assert.deepEqual(none.lookup(file(1)), { sha256: hex(1) });
});

test('a disk that fails at any operation is never an error', async (t) => {
  for (let n = 0; n < 12; n++) {
    const cache = await folder(t);
    const first = await FileIndex.open(cache, { system });
    first.remember(file(1), { sha256: hex(1) });
    await first.save();
    let count = 0;
    const failing = { ...faulty(() => (count++ === n ? systemError('EIO') : undefined)), now: clock.now };
    const index = await FileIndex.open(cache, { system: failing });
    index.remember(file(2), { sha256: hex(2) });
    await index.save();
    const next = await FileIndex.open(cache, { system });
    assert.deepEqual(next.lookup(file(1)), { sha256: hex(1) }, `operation ${n}`);
    assert.ok((await readdir(join(cache, '_index'))).every((name) => !name.startsWith('_tmp-')));
  }
});

test('a folder that cannot be written is no error', {
  skip: process.getuid?.() === 0 && 'root may write anywhere',
}, async (t) => {
  const cache = await folder(t);
  await mkdir(join(cache, '_index'));
  await chmod(join(cache, '_index'), 0o500);
  const index = await FileIndex.open(cache, { system });
  index.remember(file(1), { sha256: hex(1) });
  await index.save();
  assert.deepEqual(await readdir(join(cache, '_index')), []);
});
