import assert from 'node:assert/strict';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type Base, baseDigest, keepBase, keptBase, loadBase, nameBase, openBase } from '../../src/base/index.js';
import { features } from '../../src/commands/features.js';
import { predict } from '../../src/commands/predict.js';
import { train } from '../../src/commands/train.js';
import { openEngine } from '../../src/engine/index.js';
import { CacheError, EngineError, PermafrostError } from '../../src/errors.js';
import { realSystem, type StoreSystem } from '../../src/files/index.js';
import { FeatureSet, FileIndex, type FileStat } from '../../src/store/index.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { bits, folder } from '../helpers/store.js';

/** A clock that is ahead, so that no file counts as written just now. */
const ahead: Partial<StoreSystem> = { now: () => Date.now() + 60_000 };
const still: StoreSystem = { ...realSystem, ...ahead };

/** Two models of the same layers, in one file format, with other weights. */
function models(dir: string): { file: string; a: string; b: string } {
  const a = path.join(dir, 'a.onnx');
  const b = path.join(dir, 'b.onnx');
  const bytes = readFileSync(fixture('onnx/torch_17_open.onnx'));
  writeFileSync(a, bytes);
  // The sign of a weight: float32 values stand in a row before the end of the file.
  const changed = Buffer.from(bytes);
  const at = weightAt(bytes);
  changed[at] = (changed[at] ?? 0) ^ 0x80;
  writeFileSync(b, changed);
  mkdirSync(path.join(dir, 'model'));
  for (const cache of ['cache', 'fresh']) mkdirSync(path.join(dir, cache, 'bases'), { recursive: true }); // caches already
  return { file: path.join(dir, 'model', 'model.onnx'), a, b };
}

/** The last byte of a weight: within the longest run of bytes that are float32 values of usual size. */
function weightAt(bytes: Buffer): number {
  const usual = (at: number): boolean => {
    const value = Math.abs(bytes.readFloatLE(at));
    return value > 1e-4 && value < 4;
  };
  let best = [0, 0];
  for (let phase = 0; phase < 4; phase++) {
    for (let at = phase, run = 0; at + 4 <= bytes.length; at += 4) {
      run = usual(at) ? run + 1 : 0;
      if (run > (best[0] ?? 0)) best = [run, at];
    }
  }
  assert.ok((best[0] ?? 0) > 20);
  return (best[1] ?? 0) + 3 - 4 * 5;
}

const options = (base: string) => ({ base, preprocess: 'torch', inputSize: [24, 24] }) as const;

/** Calls back before each operation that goes to the disk. */
function counted(onOperation: (count: number) => void): StoreSystem {
  let count = 0;
  const told = <A extends unknown[], R>(act: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      onOperation(++count);
      return act(...args);
    };
  };
  const { open, rename, list, makeFolder, syncFolder, modified, kind, identity, size } = realSystem;
  return {
    ...realSystem,
    ...ahead,
    open: told(open),
    rename: told(rename),
    list: told(list),
    makeFolder: told((dir: string) => makeFolder.call(realSystem, dir)),
    syncFolder: told(syncFolder),
    modified: told(modified),
    kind: told(kind),
    identity: told(identity),
    size: told(size),
  };
}

async function pictures(dir: string): Promise<string> {
  const data = path.join(dir, 'data');
  mkdirSync(data);
  for (const name of ['rgb.png', 'rgb.jpg', 'grey.png']) copyFileSync(fixture(`images/${name}`), path.join(data, name));
  return data;
}

const put = (from: string, to: string): void => {
  copyFileSync(from, `${to}.new`);
  renameSync(`${to}.new`, to);
};

/** What each set of a cache holds, by its name; empty ones left out. */
async function held(cache: string): Promise<Map<string, Map<string, string>>> {
  const found = new Map<string, Map<string, string>>();
  for (const name of readdirSync(cache).filter((one) => /-[0-9a-f]{12}$/.test(one))) {
    const vectors = await bits(await FeatureSet.open(path.join(cache, name)));
    if (vectors.size > 0) found.set(name, vectors);
  }
  return found;
}

for (const kept of [false, true]) {
  test(`a model replaced before any step of features: one model's vectors, or a sentence; ${kept ? 'its base is kept' : 'a fresh cache'}`, async (t) => {
    const dir = await folder(t);
    const data = await pictures(dir);
    const { file, a, b } = models(dir);
    const whole = new Map<string, Map<string, string>>();
    const names: string[] = [];
    for (const model of [a, b]) {
      put(model, file);
      const cache = path.join(dir, `whole-${names.length}`);
      names.push((await features({ ...options(file), data, cache })).set);
      for (const [name, vectors] of await held(cache)) whole.set(name, vectors);
    }
    assert.equal(whole.size, 2, 'two models');
    let steps = 1;
    let refused = 0;
    for (let at = 1; at <= steps; at += long ? 1 : 1 + Math.floor(at / 12)) {
      const cache = path.join(dir, `cache-${at}`);
      put(a, file);
      if (kept) {
        const first = path.join(dir, `first-${at}`);
        mkdirSync(first);
        copyFileSync(path.join(data, 'rgb.png'), path.join(first, 'rgb.png'));
        await features({ ...options(file), data: first, cache, system: still });
      }
      let replaced = false;
      const system = counted((count) => {
        if (at === 1) steps = Math.max(steps, count);
        if (count !== at) return;
        put(b, file);
        replaced = true;
      });
      const result = await features({ ...options(file), data, cache, system }).catch((error: unknown) => {
        assert.ok(error instanceof PermafrostError && !error.message.includes('\n'), String(error));
        refused++;
        return null;
      });
      if (result !== null) assert.deepEqual((await held(cache)).get(result.set), whole.get(result.set), `step ${at}`);
      for (const [name, vectors] of await held(cache)) {
        for (const [key, value] of vectors) assert.equal(value, whole.get(name)?.get(key), `step ${at}: ${name}`);
      }
      if (!replaced) break; // with the old model there are fewer steps than with a new one
      const next = await features({ ...options(file), data, cache, system: still });
      assert.equal(next.set, names[1], `step ${at}: the next run goes by the model that is there`);
      assert.deepEqual((await held(cache)).get(next.set), whole.get(next.set), `step ${at}`);
      rmSync(cache, { recursive: true });
    }
    assert.ok(steps > 20, `${steps} steps`);
    t.diagnostic(`${steps} steps, ${refused} refused`);
  });
}

/** Tells of each operation of the real disk that the commands use where none is handed to them. */
function watched(t: TestContext, onOperation: (count: number) => void): void {
  const system = counted(onOperation);
  const before = { ...realSystem };
  Object.assign(realSystem, system);
  t.after(() => Object.assign(realSystem, before));
}

test('a model replaced before any step of train and predict: the head of one model, or a sentence', async (t) => {
  const dir = await folder(t);
  const data = path.join(dir, 'data');
  for (const [i, name] of ['rgb.png', 'rgb.jpg', 'grey.png', 'la.png'].entries()) {
    mkdirSync(path.join(data, `class ${i % 2}`), { recursive: true });
    copyFileSync(fixture(`images/${name}`), path.join(data, `class ${i % 2}`, name));
  }
  const { file, a, b } = models(dir);
  const cache = path.join(dir, 'cache');
  const head = { ...options(file), data, cache, epochs: 2, val: 0, bootstrap: 0, replace: true } as const;
  const bytesOf = (folder: string): string =>
    ['head.json', 'head.onnx'].map((name) => readFileSync(path.join(folder, name), 'base64')).join();
  const said = async (folder: string): Promise<unknown[]> => {
    const rows: unknown[] = [];
    const asked = { ...options(file), head: folder, cache: path.join(dir, 'none'), paths: [data], noStore: true };
    for await (const one of predict(asked)) rows.push(one.scores);
    return rows;
  };
  const whole: { out: string; bytes: string; says: unknown[] }[] = [];
  for (const [i, model] of [a, b].entries()) {
    put(model, file);
    await features({ ...options(file), data, cache, system: still });
    const out = path.join(dir, `whole-${i}`);
    await train({ ...head, out });
    whole.push({ out, bytes: bytesOf(out), says: await said(out) });
  }
  const [first, second] = whole as [(typeof whole)[number], (typeof whole)[number]];
  assert.notDeepEqual(first.says, second.says);

  let onOperation = (): void => {};
  watched(t, () => onOperation());
  /** Runs something with the first model, which another takes the place of before a step; tells whether it came to that. */
  const disturbed = async <T>(at: number, act: () => Promise<T>): Promise<{ result: T | null; steps: number }> => {
    put(a, file);
    let steps = 0;
    onOperation = () => {
      if (++steps === at) put(b, file);
    };
    const result = await act().catch((error: unknown) => {
      assert.ok(error instanceof PermafrostError && !error.message.includes('\n'), String(error));
      return null;
    });
    onOperation = () => {};
    return { result, steps };
  };
  const spaced = (at: number): number => at + (long ? 1 : 1 + Math.floor(at / 12));
  let last = 0;
  for (let at = 1; ; at = spaced(at)) {
    for (const name of readdirSync(path.join(cache, 'bases'))) {
      if (name.startsWith('_opened-')) rmSync(path.join(cache, 'bases', name));
    }
    const out = path.join(dir, `head-${at}`);
    const { result, steps } = await disturbed(at, () => train({ ...head, out }));
    if (result !== null) assert.ok([first.bytes, second.bytes].includes(bytesOf(out)), `train, step ${at}`);
    if (steps < at) break;
    last = at;
    put(b, file);
    const next = path.join(dir, `next-${at}`);
    await train({ ...head, out: next });
    assert.equal(bytesOf(next), second.bytes, `step ${at}: the next run goes by the model that is there`);
  }
  assert.ok(last > 5, `train has ${last} steps`);
  let asked = 0;
  for (let at = 1; ; at = spaced(at)) {
    const { result, steps } = await disturbed(at, () => said(first.out));
    if (result !== null) assert.deepEqual(result, first.says, `predict, step ${at}`);
    if (steps < at) break;
    asked = at;
  }
  assert.ok(asked > 0, 'predict reads the model');
  t.diagnostic(`${last} steps of train, ${asked} of predict`);
});

describe('what names a base without opening it', () => {
  test('a model overwritten in place, its size, time and inode kept, is not believed; nor is what --verify-hashes reads', async (t) => {
    const dir = await folder(t);
    const cache = path.join(dir, 'cache');
    const { file, a, b } = models(dir);
    put(a, file);
    const before = statSync(file);
    const first = await nameBase(cache, options(file), { system: still });
    assert.ok(readdirSync(path.join(cache, 'bases')).some((name) => name.startsWith('_opened-')));
    writeFileSync(file, readFileSync(b));
    utimesSync(file, before.atime, before.mtime);
    const after = statSync(file);
    assert.deepEqual(
      [after.size, after.mtimeMs, after.ino],
      [before.size, Math.floor(before.mtimeMs), before.ino].map((v, i) => (i === 1 ? after.mtimeMs : v)),
    );
    const second = await nameBase(cache, options(file), { system: still });
    assert.notEqual(second.spec.weights, first.spec.weights);

    // A disk that tells no change at all: only reading finds it.
    const blind: StoreSystem = { ...still, identity: async () => ({ isFile: true, facts: ['same'], touched: 0 }) };
    put(a, file);
    await nameBase(cache, options(file), { system: blind });
    put(b, file);
    const believed = await nameBase(cache, options(file), { system: blind });
    const read = await nameBase(cache, options(file), { system: blind, verify: true });
    assert.deepEqual([believed.spec.weights, read.spec.weights], [first.spec.weights, second.spec.weights]);
  });

  test('the revision of the pixels is in its key, and a file written just now is not remembered', async (t) => {
    const dir = await folder(t);
    const { file, a } = models(dir);
    put(a, file);
    const fresh = path.join(dir, 'fresh');
    await nameBase(fresh, options(file));
    assert.deepEqual(readdirSync(path.join(fresh, 'bases')), []);
    const cache = path.join(dir, 'cache');
    await nameBase(cache, options(file), { system: still });
    const [name = ''] = readdirSync(path.join(cache, 'bases'));
    const { key } = JSON.parse(readFileSync(path.join(cache, 'bases', name), 'utf8')) as { key: string };
    assert.equal((JSON.parse(key) as { pixels: number }).pixels, 2);
  });
});

/** Each byte of a file in turn as another, or some of them: those at even steps. */
async function eachByte(
  t: TestContext,
  file: string,
  most: number,
  check: (at: number) => Promise<void>,
): Promise<void> {
  const whole = readFileSync(file);
  const step = long ? 1 : Math.max(1, Math.floor(whole.length / most));
  for (let at = 0; at < whole.length; at += step) {
    for (const mask of long ? [0x01, 0x20, 0x80] : [1 << (at % 8)]) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ mask;
      writeFileSync(file, changed);
      await check(at);
    }
  }
  writeFileSync(file, whole);
  t.diagnostic(`${path.basename(file)}: ${Math.ceil(whole.length / step)} of ${whole.length} bytes`);
}

/** @returns the bits of what a base gives for a made image: names within a model may differ where they do not */
async function vectorOf(base: Base): Promise<Uint32Array> {
  const engine = await openEngine({ engine: 'onnx' });
  const runner = await loadBase(base, engine, { input: 'uint8', threads: 1 });
  try {
    const { height, width, channels } = base.spec.input;
    const pixels = Uint8Array.from({ length: height * width * channels }, (_, i) => (i * 97) % 256);
    const [vector] = await runner.run(pixels, 1);
    return new Uint32Array(Float32Array.from(vector ?? []).buffer);
  } finally {
    await runner.release();
  }
}

test('one changed byte in what a cache knows of a base: the same answer, or a sentence', async (t) => {
  const dir = await folder(t);
  const cache = path.join(dir, 'cache');
  mkdirSync(path.join(cache, 'bases'), { recursive: true });
  for (const [i, base] of [
    options(fixture('onnx/torch_17_open.onnx')),
    { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const,
  ].entries()) {
    const opened = await openBase(base);
    const named = await nameBase(cache, base, { system: still });
    await keepBase(cache, opened);
    const bases = path.join(cache, 'bases');
    const shortcuts = readdirSync(bases).filter((name) => name.startsWith('_opened-'));
    assert.equal(shortcuts.length, i + 1);
    for (const name of shortcuts) {
      await eachByte(t, path.join(bases, name), 60, async (at) => {
        const { spec, name } = await nameBase(cache, base, { system: still });
        assert.deepEqual([name, spec], [named.name, named.spec], `byte ${at}`);
      });
    }
    const sound = await keptBase(cache, opened.spec);
    assert.ok(sound);
    const folders = readdirSync(bases).filter((name) => name === baseDigest(opened.spec));
    assert.equal(folders.length, 1);
    for (const folder of folders) {
      for (const name of readdirSync(path.join(bases, folder))) {
        await eachByte(t, path.join(bases, folder, name), 150, async (at) => {
          const found = await keptBase(cache, opened.spec).catch((error: unknown) => {
            assert.ok(error instanceof CacheError && !error.message.includes('\n'), `byte ${at}: ${error}`);
            return null;
          });
          if (found === null || isDeepStrictEqual(found, sound)) return;
          const got = await vectorOf(found).catch((error: unknown) => {
            // A version or a size of the batch that the engine refuses.
            assert.ok(error instanceof EngineError, `byte ${at}: ${error}`);
            return null;
          });
          if (got !== null) assert.deepEqual(got, await vectorOf(sound), `byte ${at} of ${name}`);
        });
      }
    }
  }
});

test('one changed byte in the index of files: what it knows, or nothing', async (t) => {
  const cache = await folder(t);
  const index = await FileIndex.open(cache);
  const files: FileStat[] = [1n, 2n, 3n].map((ino) => ({
    absolute: `/pictures/${ino}.png`,
    size: 5n * ino,
    mtimeNs: ino,
    ino,
  }));
  const hash = (i: number): string => String(i).repeat(64);
  for (const [i, file] of files.entries()) index.remember(file, { sha256: hash(i) });
  await index.save();
  const [name = ''] = readdirSync(path.join(cache, '_index'));
  await eachByte(t, path.join(cache, '_index', name), 400, async (at) => {
    const found = await FileIndex.open(cache);
    for (const [i, file] of files.entries()) {
      const fact = found.lookup(file);
      if (fact !== null) assert.deepEqual(fact, { sha256: hash(i) }, `byte ${at}`);
    }
  });
});
