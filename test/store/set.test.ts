import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CacheError } from '../../src/errors.js';
import { fromFloat16, toFloat16 } from '../../src/float16.js';
import { FeatureSet, fingerprint, realSystem, type SetSpec, sha256Hex } from '../../src/store/index.js';
import {
  bits,
  FakeClock,
  faulty,
  folder,
  hex,
  key,
  MAKER,
  spec,
  systemError,
  temporaries,
  vector,
} from '../helpers/store.js';

const run = promisify(execFile);

async function fill(set: FeatureSet, from: number, to: number, flushEvery = Number.POSITIVE_INFINITY): Promise<void> {
  const writer = set.writer(MAKER);
  for (let i = from; i < to; i++) {
    await writer.add(key(i), vector(i, set.spec.features));
    if ((i + 1) % flushEvery === 0) await writer.flush();
  }
  await writer.close();
}

const partNames = async (set: FeatureSet): Promise<string[]> =>
  (await readdir(set.dir)).filter((name) => name.startsWith('part-')).sort();

test('rows come back by key, in the order asked, without those that are missing', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(5));
  await fill(set, 0, 50, 20);
  const { vectors, found, missing } = await set.read([
    hex(3),
    key(99),
    key(40),
    hex(3),
    hex(98),
    hex(0),
    key(99),
    hex(40),
  ]);
  assert.deepEqual([...found], [0, 2, 3, 5, 7]);
  assert.deepEqual(missing, [hex(99), hex(98)]);
  assert.deepEqual(
    [...vectors],
    [3, 40, 3, 0, 40].flatMap((i) => [...vector(i, 5)]),
  );
  assert.deepEqual((await set.read([])).vectors.length, 0);
  const keys = await set.keys();
  assert.equal(keys.size, 50);
  assert.ok(keys.has(hex(49)) && !keys.has(hex(50)));
  await assert.rejects(set.read(['abc']), TypeError);
});

test('a part is closed at 1,024 rows', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(2));
  await fill(set, 0, 2500);
  assert.deepEqual(await set.info(), {
    parts: 3,
    rows: 2500,
    bytes: (await Promise.all((await partNames(set)).map((name) => readFile(join(set.dir, name))))).reduce(
      (n, b) => n + b.length,
      0,
    ),
    makers: [{ ...MAKER, parts: 3, rows: 2500 }],
  });
  const { vectors, missing } = await set.read(Array.from({ length: 2500 }, (_, i) => hex(i)));
  assert.equal(missing.length, 0);
  assert.ok(vectors.every((value, i) => value === vector(i >> 1, 2)[i & 1]));
});

test('a part is closed 20 seconds after its first row', async (t) => {
  const clock = new FakeClock();
  const system = { ...realSystem, now: clock.now, after: clock.after };
  const set = await FeatureSet.create(await folder(t), 'test', spec(2), { system });
  const writer = set.writer(MAKER);
  await writer.add(key(0), vector(0, 2));
  clock.advance(15_000);
  await writer.add(key(1), vector(1, 2));
  clock.advance(4_999);
  assert.equal((await set.info()).parts, 0);
  clock.advance(1);
  await writer.add(key(2), vector(2, 2));
  clock.advance(19_999);
  await writer.add(key(3), vector(3, 2));
  await writer.close();
  clock.advance(60_000);
  assert.equal(writer.stored, 4);
  assert.deepEqual((await set.info()).parts, 2);
  await assert.rejects(writer.add(key(4), vector(4, 2)), TypeError);
});

test('sets are equal however their rows were split; parts do not depend on the order of rows', async (t) => {
  const cache = await folder(t);
  const one = await FeatureSet.create(join(cache, '1'), 'a', spec(6));
  const two = await FeatureSet.create(join(cache, '2'), 'b', spec(6));
  const three = await FeatureSet.create(join(cache, '3'), 'c', spec(6));
  await fill(one, 0, 100);
  await fill(two, 0, 100, 7);
  const writer = three.writer(MAKER);
  for (let i = 99; i >= 0; i--) await writer.add(key(i), vector(i, 6));
  await writer.add(key(5), vector(999, 6));
  await writer.close();
  assert.equal((await partNames(two)).length, 15);
  assert.deepEqual(await bits(one), await bits(two));
  assert.deepEqual(await partNames(one), await partNames(three));
});

test('a part is named by its bytes, and the same rows give the same bytes on every machine', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(8));
  await fill(set, 0, 10);
  const [name = ''] = await partNames(set);
  assert.equal(name, `part-${sha256Hex(await readFile(join(set.dir, name))).slice(0, 32)}.arrow`);
  assert.equal(name, 'part-2dea74b7a953f9567651b9f04b66dd08.arrow');
});

test('a part that pyarrow wrote, in two batches, is read', async () => {
  const set = await FeatureSet.open(fileURLToPath(new URL('../../../test/fixtures/features', import.meta.url)));
  const { vectors, missing } = await set.read([4, 0, 2].map(hex));
  assert.deepEqual(missing, []);
  assert.deepEqual(
    [...vectors],
    [4, 0, 2].flatMap((i) => Array.from({ length: 8 }, (_, j) => i + j / 8)),
  );
  const rows: number[] = [];
  for await (const batch of set.batches()) rows.push(batch.rows);
  assert.deepEqual(rows, [3, 2]);
  assert.deepEqual((await set.info()).makers, [
    { engine: 'onnx', engineVersion: '1.0.0', version: '0.0.0', parts: 1, rows: 5 },
  ]);
});

test('a set is found by its digits, whatever its folder is called', async (t) => {
  const cache = await folder(t);
  const set = await FeatureSet.create(cache, 'models/My Base.keras', spec(3));
  assert.equal(basename(set.dir), `models-My-Base.keras-${fingerprint(spec(3)).slice(0, 12)}`);
  assert.equal(
    await readFile(join(set.dir, '_set.json'), 'utf8'),
    '{"base":"test","features":3,"format":1,"type":"float32"}',
  );
  await fill(set, 0, 3);
  const moved = join(cache, `renamed-${set.fingerprint.slice(0, 12)}`);
  await rename(set.dir, moved);
  assert.equal((await FeatureSet.create(cache, 'other', spec(3))).dir, moved);
  assert.equal((await FeatureSet.find(cache, set.fingerprint))?.dir, moved);
  assert.equal(await FeatureSet.find(cache, fingerprint(spec(4))), null);
  assert.equal(await FeatureSet.find(join(cache, 'absent'), set.fingerprint), null);
  assert.equal((await (await FeatureSet.open(moved)).keys()).size, 3);
});

test('a folder without _set.json, as a crash leaves it, is finished', async (t) => {
  const cache = await folder(t);
  const dir = join(cache, `test-${fingerprint(spec(3)).slice(0, 12)}`);
  await mkdir(dir);
  assert.equal(await FeatureSet.find(cache, fingerprint(spec(3))), null);
  assert.equal((await FeatureSet.create(cache, 'other', spec(3))).dir, dir);
  assert.deepEqual((await FeatureSet.open(dir)).spec, spec(3));
});

test('what is no set, is damaged, or is of another format, is a CacheError that names the file', async (t) => {
  const cache = await folder(t);
  await assert.rejects(FeatureSet.open(join(cache, 'absent')), {
    name: 'CacheError',
    message: /absent is not a feature set/,
  });
  const set = await FeatureSet.create(cache, 'test', spec(3));
  const file = join(set.dir, '_set.json');
  const cases: [string, RegExp][] = [
    ['{"format":1', /_set\.json is damaged/],
    ['[]', /must hold a JSON object/],
    ['{"format":2,"features":3,"type":"float32"}', /format 2 .* reads format 1/],
    ['{"format":1,"features":0,"type":"float32"}', /"features" as a whole number/],
    ['{"format":1,"features":3,"type":"int8"}', /"type" as float32 or float16/],
    [`{"format":1,"features":3,"type":"float32","x":${'['.repeat(1e4)}${']'.repeat(1e4)}}`, /damaged/],
    [' '.repeat(2 ** 20 + 1), /at most 1048576 bytes/],
  ];
  for (const [text, message] of cases) {
    await writeFile(file, text);
    await assert.rejects(FeatureSet.open(set.dir), { name: 'CacheError', message });
    await assert.rejects(FeatureSet.create(cache, 'test', spec(3)), CacheError);
  }
  await writeFile(file, '{"format":1,"features":4,"type":"float32"}');
  await assert.rejects(FeatureSet.create(cache, 'test', spec(3)), {
    name: 'CacheError',
    message: /must have the fingerprint/,
  });
  await assert.rejects(FeatureSet.create(cache, 'test', { ...spec(3), features: 1.5 }), CacheError);
});

test('a row that does not fit is refused', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(3));
  const writer = set.writer(MAKER);
  await assert.rejects(writer.add(key(0), new Float32Array(4)), TypeError);
  await assert.rejects(writer.add(new Uint8Array(16), new Float32Array(3)), TypeError);
  await assert.rejects(writer.add(key(0), Float32Array.of(0, Number.NaN, 0)), {
    name: 'CacheError',
    message: /holds NaN at 1/,
  });
  await writer.add(key(1), vector(1, 3));
  await writer.close();
  assert.equal((await set.keys()).size, 1);
});

test('float16 keeps the nearest value and refuses what is too large', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(4, 'float16'));
  const writer = set.writer(MAKER);
  await writer.add(key(0), Float32Array.of(0.1, -1000.3, 65504, 1e-7));
  await assert.rejects(writer.add(key(1), Float32Array.of(0, 0, 0, 65520)), { name: 'CacheError', message: /float16/ });
  await writer.close();
  // numpy.float16 of the same values
  assert.deepEqual([...(await set.read([key(0)])).vectors], [0.0999755859375, -1000.5, 65504, 1.1920928955078125e-7]);
  await fill(set, 2, 100);
  assert.deepEqual([...(await set.read([key(77)])).vectors], [...vector(77, 4)]);
});

test('float16 goes there and back, ties to even', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((i) => (i & 0x7fff) <= 0x7c00);
  assert.deepEqual(toFloat16(fromFloat16(all)), all);
  const halves = [
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    2 ** -25,
    3 * 2 ** -25,
    2 ** -25 * 1.001,
    65519.9,
    -(2 ** -14) + 2 ** -25,
  ];
  const expected = [1, 1 + 2 ** -9, 0, 2 ** -23, 2 ** -24, 65504, -(2 ** -14)];
  assert.deepEqual([...fromFloat16(toFloat16(Float32Array.from(halves)))], expected);
  assert.ok(Number.isNaN(fromFloat16(toFloat16(Float32Array.of(Number.NaN)))[0]));
});

test('of a key in two parts the first by name counts, everywhere', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(2));
  for (const shift of [0, 1000]) {
    const writer = set.writer(MAKER);
    for (let i = shift ? 5 : 0; i < 10; i++) await writer.add(key(i), vector(i + shift, 2));
    await writer.close();
  }
  const [first = ''] = await partNames(set);
  const alone = await FeatureSet.create(await folder(t), 'test', spec(2));
  await copyFile(join(set.dir, first), join(alone.dir, first));
  const winner = await bits(alone);
  const all = await bits(set);
  assert.equal(all.size, 10);
  for (const [name, value] of winner) assert.equal(all.get(name), value);
  const { vectors } = await set.read([...all.keys()]);
  assert.equal(Buffer.from(vectors.slice().buffer).toString('hex'), [...all.values()].join(''));
  assert.equal((await set.keys()).size, 10);
  assert.equal((await set.info()).rows, 15);
});

test('a part that another process merges away is not missed', async (t) => {
  const cache = await folder(t);
  const set = await FeatureSet.create(cache, 'test', spec(2));
  await fill(set, 0, 30, 10);
  const merged = await FeatureSet.create(await folder(t), 'test', spec(2));
  await fill(merged, 0, 30);
  const [whole = ''] = await partNames(merged);
  const small = await partNames(set);
  let opened = 0;
  const system = faulty((operation, path) => {
    return operation === 'open' && path.endsWith('.arrow') && ++opened === 2 ? new Error('merge') : undefined;
  });
  const merging = {
    ...system,
    open: async (path: string, mode: 'read' | 'create') => {
      try {
        return await system.open(path, mode);
      } catch (error) {
        if (!(error instanceof Error) || error.message !== 'merge') throw error;
        await copyFile(join(merged.dir, whole), join(set.dir, whole));
        for (const name of small) await rm(join(set.dir, name));
        throw systemError('ENOENT');
      }
    },
  };
  const reader = await FeatureSet.open(set.dir, { system: merging });
  assert.deepEqual(await bits(reader), await bits(merged));
});

test('two processes write one set at once', async (t) => {
  const cache = await folder(t);
  const script = fileURLToPath(new URL('../helpers/write-rows.js', import.meta.url));
  await Promise.all([
    run(process.execPath, [script, cache, '0', '60', '4']),
    run(process.execPath, [script, cache, '40', '100', '4']),
  ]);
  const set = await FeatureSet.create(cache, 'test', spec(4));
  const whole = await FeatureSet.create(await folder(t), 'test', spec(4));
  await fill(whole, 0, 100);
  assert.deepEqual(await bits(set), await bits(whole));
  assert.deepEqual(await temporaries(cache), []);
  assert.equal((await readdir(cache)).length, 1);
});

test('temporary files of dead runs go, those of live ones stay', async (t) => {
  const cache = await folder(t);
  const { dir } = await FeatureSet.create(cache, 'test', spec(2));
  const system = {
    ...realSystem,
    host: 'a',
    pid: 100,
    started: Date.now() + 60_000,
    alive: (pid: number) => pid === 7,
  };
  const name = (host: string, pid: number): string => `_tmp-${host}-${pid}-0123456789ab`;
  // What only begins like ours, however old, is somebody else's.
  const stay = [name('a', 7), name('b', 12), name('a-12', 34), '_tmp-odd', '_tmp-old'];
  const go = [name('a', 12), name('a', 100)];
  const old = [name('b', 13), name('a', 8), '_tmp-old'];
  for (const file of [...stay, ...go, ...old]) await writeFile(join(dir, file), '');
  const before = new Date(Date.now() - 25 * 60 * 60 * 1000);
  for (const file of old) await utimes(join(dir, file), before, before);
  await FeatureSet.create(cache, 'test', spec(2), { system });
  assert.deepEqual((await readdir(dir)).sort(), ['_set.json', ...stay].sort());
});

test('what another thread of the same process writes stays', async (t) => {
  const cache = await folder(t);
  const { dir } = await FeatureSet.create(cache, 'test', spec(2));
  const name = `_tmp-${realSystem.host}-${process.pid}-0123456789ab`;
  await writeFile(join(dir, name), '');
  await FeatureSet.create(cache, 'test', spec(2));
  assert.deepEqual((await readdir(dir)).sort(), ['_set.json', name].sort());
});

test('every flipped byte of a part is found by reading or changes no vector; every cut is found', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(4));
  await fill(set, 0, 6);
  const [name = ''] = await partNames(set);
  const whole = await readFile(join(set.dir, name));
  const expected = await bits(set);
  let content: Uint8Array = whole;
  const open: typeof realSystem.open = async (path, mode) => {
    if (!path.endsWith('.arrow')) return realSystem.open(path, mode);
    return {
      size: async () => content.length,
      read: async (target, position) => {
        const piece = content.subarray(position, position + target.length);
        target.set(piece);
        return piece.length;
      },
      write: async () => assert.fail(),
      sync: async () => assert.fail(),
      close: async () => {},
    };
  };
  const reader = await FeatureSet.open(set.dir, { system: { ...realSystem, open } });
  const damaged = {
    name: 'CacheError',
    message: new RegExp(`part ${name} is damaged: .*; delete .* and run features again`),
  };
  let silent = 0;
  for (let at = 0; at < whole.length; at++) {
    for (const flip of [1, 0x80, 0xff]) {
      content = Uint8Array.from(whole);
      content[at] = (content[at] as number) ^ flip;
      try {
        assert.deepEqual(await bits(reader), expected, `byte ${at}`);
        silent++;
      } catch (error) {
        if (!(error instanceof CacheError)) throw error;
        assert.match(error.message, damaged.message);
      }
    }
  }
  assert.ok(silent < whole.length * 3 - 3 * 6 * (32 + 16), 'every byte of the columns must be found');
  for (let length = 0; length < whole.length; length++) {
    content = whole.subarray(0, length);
    await assert.rejects(bits(reader), damaged);
  }
});

test('a damaged part is skipped with a warning where work can go on, and thrown where it cannot', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(4));
  await fill(set, 0, 30, 10);
  const [name = ''] = await partNames(set);
  const path = join(set.dir, name);
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, 500));
  const warnings: string[] = [];
  assert.equal((await set.keys((error) => warnings.push(error.message))).size, 20);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', new RegExp(name));
  assert.equal((await set.info(() => {})).rows, 20);
  await assert.rejects(set.keys(), CacheError);
  await assert.rejects(set.read([key(0), key(99)]), CacheError);
});

test('a part of another set, or of other tools, is refused', async (t) => {
  const other: SetSpec = { ...spec(4), base: 'other' };
  const one = await FeatureSet.create(await folder(t), 'test', spec(4));
  const two = await FeatureSet.create(await folder(t), 'test', other);
  await fill(two, 0, 5);
  const [name = ''] = await partNames(two);
  await copyFile(join(two.dir, name), join(one.dir, name));
  await assert.rejects(one.keys(), { name: 'CacheError', message: /belongs to the set/ });
  const wide = await FeatureSet.create(await folder(t), 'test', spec(5));
  await copyFile(join(two.dir, name), join(wide.dir, name));
  await assert.rejects(wide.keys(), { name: 'CacheError', message: /must have 5 values, found 4/ });
  const half = await FeatureSet.create(await folder(t), 'test', spec(4, 'float16'));
  await copyFile(join(two.dir, name), join(half.dir, name));
  await assert.rejects(half.keys(), { name: 'CacheError', message: /must be float16/ });
});
