import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { exportHead, type HeadFormat } from '../../src/commands/export.js';
import type { Prediction } from '../../src/commands/prediction.js';
import { writePredictions } from '../../src/commands/prediction-table.js';
import { drawSample } from '../../src/commands/sample.js';
import { PermafrostError } from '../../src/errors.js';
import { realSystem, type StoreSystem } from '../../src/files/index.js';
import { readModel } from '../../src/keras/index.js';
import { HEAD_FORMATS, PREDICTION_FORMATS } from '../../src/options/choices.js';
import { walk } from '../../src/sources/index.js';
import { FeatureSet } from '../../src/store/index.js';
import { tinyHead } from '../helpers/saved-head.js';
import { Crash, faulty, memoryFolder as folder, type Operation, spec, systemError } from '../helpers/store.js';

/** What changes the disk, or may be refused by it. */
const CHANGES: readonly Operation[] = ['write', 'sync', 'close', 'rename', 'unlink', 'makeFolder', 'syncFolder'];
const changes = (operation: Operation, file: string): boolean =>
  CHANGES.includes(operation) || (operation === 'open' && file.includes('_tmp-'));

/** All files of a folder, or the one file, as name to bytes in hex. */
function contents(place: string): Record<string, string> {
  if (!existsSync(place)) return {};
  if (!statSync(place).isDirectory()) return { '': readFileSync(place).toString('hex') };
  const names = readdirSync(place, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(place, name)).toString('hex')]));
}

/** Something that puts one output in place, in one of two versions. */
interface Writer {
  readonly name: string;
  /** Of the output, in the folder that is looked at. */
  readonly file: string;
  readonly write: (out: string, version: 'old' | 'new', system: StoreSystem) => Promise<unknown>;
  /** Whether what is there is one of the two as a whole, as its reader sees it. */
  readonly isEither: (
    found: Record<string, string>,
    old: Record<string, string>,
    fresh: Record<string, string>,
  ) => boolean;
}

const same = (a: Record<string, string>, b: Record<string, string>): boolean => JSON.stringify(a) === JSON.stringify(b);

/** model.json is that of one version and all files that it names are there: others beside it nobody reads. */
function holds(found: Record<string, string>, version: Record<string, string>): boolean {
  return Object.entries(version).every(([name, bytes]) => found[name] === bytes);
}

async function writers(t: TestContext): Promise<Writer[]> {
  const heads = await folder(t);
  await tinyHead(path.join(heads, 'old'), 1, 1500);
  await tinyHead(path.join(heads, 'new'), 2, 1500);
  const exports = HEAD_FORMATS.map(
    (format: HeadFormat): Writer => ({
      name: `export to ${format}`,
      file: format === 'tfjs' ? 'model' : `model.${format}`,
      write: (out, version, system) =>
        exportHead({ head: path.join(heads, version), format, out, replace: true, system }),
      isEither: (found, old, fresh) =>
        format === 'tfjs' ? holds(found, old) || holds(found, fresh) : same(found, old) || same(found, fresh),
    }),
  );
  const rows = async function* (version: string): AsyncGenerator<Prediction> {
    for (let i = 0; i < 1100; i++) {
      yield {
        path: `${version}/${i}.jpg`,
        label: 'yes',
        score: i / 1100,
        scores: [
          { label: 'no', score: 1 - i / 1100 },
          { label: 'yes', score: i / 1100 },
        ],
      };
    }
  };
  const predictions = PREDICTION_FORMATS.map(
    (format): Writer => ({
      name: `predictions as ${format}`,
      file: `predictions.${format}`,
      write: (out, version, system) =>
        writePredictions(out, rows(version), { classes: ['no', 'yes'], format }, { system }),
      isEither: (found, old, fresh) => same(found, old) || same(found, fresh),
    }),
  );
  return [...exports, ...predictions];
}

/** @returns a system that throws at the nth operation that changes the disk */
function failing(n: number, error: Error, more: Partial<StoreSystem> = {}): StoreSystem {
  let count = 0;
  return faulty((operation, file) => (changes(operation, file) && count++ === n ? error : undefined), more);
}

async function rehearse(t: TestContext, { file, write }: Writer) {
  const dir = await folder(t);
  const out = path.join(dir, 'deep', file);
  await write(out, 'old', realSystem);
  const old = contents(out);
  const kept = await folder(t);
  cpSync(dir, kept, { recursive: true });
  const operations: Operation[] = [];
  const watching = faulty((operation, file) => {
    if (changes(operation, file)) operations.push(operation);
    return undefined;
  });
  await write(out, 'new', watching);
  const fresh = contents(out);
  assert.ok(!same(old, fresh), 'the two versions differ, or nothing is tested');
  for (const needed of ['write', 'sync', 'rename', 'syncFolder'] as const) assert.ok(operations.includes(needed));
  return { old, fresh, operations, kept };
}

for (const code of ['ENOSPC', 'EIO', 'EROFS']) {
  test(`${code} at each operation in turn: the old file or the whole new one, one sentence, nothing left over`, async (t) => {
    for (const writer of await writers(t)) {
      const { old, fresh, operations, kept } = await rehearse(t, writer);
      const placed = operations.indexOf('syncFolder', operations.indexOf('rename')) + 1;
      for (const [n, operation] of operations.entries()) {
        const where = `${writer.name}: ${operation}, operation ${n}`;
        const dir = await folder(t);
        const out = path.join(dir, 'deep', writer.file);
        cpSync(kept, dir, { recursive: true });
        const error = await writer.write(out, 'new', failing(n, systemError(code))).then(
          () => null,
          (thrown: unknown) => thrown,
        );
        // What was thrown in tidying up may be passed over, never what was thrown in writing.
        if (error === null) assert.ok(n >= placed || operation === 'unlink', `${where} is told`);
        else {
          assert.ok(error instanceof PermafrostError, `${where}: ${error}`);
          assert.ok(!error.message.includes('\n') && !error.message.includes('injected'), error.message);
        }
        assert.ok(writer.isEither(contents(out), old, fresh), where);
        await writer.write(out, 'new', realSystem);
        assert.ok(same(contents(out), fresh), `${where}: the next run`);
        assert.deepEqual(readdirSync(path.join(dir, 'deep')), [writer.file], `${where}: nothing is left beside it`);
      }
    }
  });
}

test('a process killed at each operation in turn: the old file or the whole new one, and the next run tidies up', async (t) => {
  let stray = 0;
  for (const writer of await writers(t)) {
    const { old, fresh, operations, kept } = await rehearse(t, writer);
    for (const [n, operation] of operations.entries()) {
      const where = `${writer.name}: ${operation}, operation ${n}`;
      const dir = await folder(t);
      const out = path.join(dir, 'deep', writer.file);
      cpSync(kept, dir, { recursive: true });
      await assert.rejects(writer.write(out, 'new', failing(n, new Crash('dead'), { pid: 4242 })), Crash, where);
      const left = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('_tmp-'));
      stray += left.length;
      const found = contents(out);
      for (const name of Object.keys(found)) if (name.startsWith('_tmp-')) delete found[name];
      assert.ok(writer.isEither(found, old, fresh), where);
      await writer.write(out, 'new', { ...realSystem, alive: (pid) => pid !== 4242 });
      assert.ok(same(contents(out), fresh), `${where}: the next run`);
      assert.deepEqual(readdirSync(path.join(dir, 'deep')), [writer.file], `${where}: nothing is left beside it`);
    }
  }
  assert.ok(stray > 0, 'some crashes leave a temporary file, or nothing was tested');
});

test('a disk that takes less than it says never cuts a file', async (t) => {
  for (const writer of await writers(t)) {
    const out = path.join(await folder(t), writer.file);
    await writer.write(out, 'old', realSystem);
    const old = contents(out);
    const lying: StoreSystem = {
      ...realSystem,
      open: async (place, mode) => {
        const file = await realSystem.open(place, mode);
        if (mode === 'read') return file;
        return { ...wrap(file), write: (bytes) => file.write(bytes.subarray(0, Math.max(1, bytes.length - 1))) };
      },
    };
    await assert.rejects(writer.write(out, 'new', lying), { name: 'FileError' }, writer.name);
    assert.ok(same(contents(out), old), writer.name);
  }
});

const wrap = (file: Awaited<ReturnType<StoreSystem['open']>>) => ({
  size: () => file.size(),
  read: (target: Uint8Array, position: number) => file.read(target, position),
  write: (bytes: Uint8Array) => file.write(bytes),
  sync: () => file.sync(),
  close: () => file.close(),
});

/** Does something with a disk in memory; skipped visibly where none can be mounted. */
async function onDisk(t: TestContext, options: string, use: (disk: string) => Promise<void>): Promise<void> {
  const disk = path.join(await folder(t), 'disk');
  mkdirSync(disk);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk]);
  if (status !== 0) return t.skip('no disk can be mounted here');
  try {
    await use(disk);
  } finally {
    spawnSync('umount', ['-l', disk]);
  }
}

test('a disk that is really full', async (t) => {
  await onDisk(t, 'size=1m', async (disk) => {
    for (const writer of await writers(t)) {
      const out = path.join(disk, 'out', writer.file);
      await writer.write(out, 'old', realSystem);
      const old = contents(out);
      fill(path.join(disk, 'rest'));
      await assert.rejects(writer.write(out, 'new', realSystem), {
        name: 'FileError',
        message: /no space is left on the disk/,
      });
      assert.ok(same(contents(out), old), writer.name);
      assert.deepEqual(readdirSync(path.join(disk, 'out')), [writer.file]);
      spawnSync('rm', ['-rf', path.join(disk, 'rest'), path.join(disk, 'out')]);
    }
  });
});

/** Takes all that is left of a disk but a page, into which the beginning of any output goes. */
function fill(file: string): void {
  const { status } = spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4096', 'status=none']);
  assert.notEqual(status, 0, 'the disk is full');
  truncateSync(file, statSync(file).size - 4096);
}

test('a disk that is read-only is named', async (t) => {
  await onDisk(t, 'size=64k,ro', async (disk) => {
    for (const writer of await writers(t)) {
      for (const out of [path.join(disk, writer.file), path.join(disk, 'new', 'folders', writer.file)]) {
        await assert.rejects(writer.write(out, 'new', realSystem), {
          name: 'FileError',
          message: `${writer.file === 'model' ? path.join(out, 'model.json') : out} could not be written: the disk ${disk} is read-only: choose another place`,
        });
      }
    }
  });
});

test('a sample and a cache on a read-only disk name the disk too', async (t) => {
  await onDisk(t, 'size=64k,ro', async (disk) => {
    const told = { message: new RegExp(`the disk ${disk} is read-only`) };
    await assert.rejects(drawSample(path.join(disk, 'a', 'sample'), { perClass: 4 }), told);
    await assert.rejects(FeatureSet.create(path.join(disk, 'a', 'cache'), 'test', spec(2)), told);
  });
});

test('what is still being written is no image of a folder', async (t) => {
  const dir = await folder(t);
  writeFileSync(path.join(dir, 'a.png'), '');
  writeFileSync(path.join(dir, `_tmp-${realSystem.host}-1-0123456789ab`), '');
  writeFileSync(path.join(dir, '_tmp-mine.png'), '');
  const names: string[] = [];
  for await (const file of walk(dir)) names.push(file.path);
  assert.deepEqual(names, ['_tmp-mine.png', 'a.png']);
});

test('where an output cannot lie is told in one sentence; a link keeps leading to the file', async (t) => {
  for (const writer of await writers(t)) {
    const dir = await folder(t);
    writeFileSync(path.join(dir, 'file'), '');
    mkdirSync(path.join(dir, 'folder'));
    spawnSync('mkfifo', [path.join(dir, 'pipe')]);
    await assert.rejects(writer.write(path.join(dir, 'file', 'x'), 'new', realSystem), {
      message: /file is a file, not a folder/,
    });
    if (writer.file === 'model') continue;
    await assert.rejects(writer.write(path.join(dir, 'folder'), 'new', realSystem), { message: /it is a folder/ });
    await assert.rejects(writer.write(path.join(dir, 'pipe'), 'new', realSystem), { message: /a pipe or a device/ });
    await assert.rejects(writer.write('/dev/null', 'new', realSystem), { message: /a pipe or a device/ });
    assert.ok(!statSync('/dev/null').isFile());
    symlinkSync(path.join(dir, 'file'), path.join(dir, 'link'));
    await writer.write(path.join(dir, 'link'), 'new', realSystem);
    assert.ok(statSync(path.join(dir, 'file')).size > 0);
  }
});

test('many exports to one path at once: what is there in the end is one of them as a whole', async (t) => {
  for (const writer of await writers(t)) {
    const { old, fresh } = await rehearse(t, writer);
    const out = path.join(await folder(t), 'many', writer.file);
    for (let round = 0; round < 3; round++) {
      const versions = ['old', 'new', 'old', 'new'] as const;
      await Promise.all(versions.map((version) => writer.write(out, version, realSystem)));
      assert.ok(writer.isEither(contents(out), old, fresh), writer.name);
    }
    await writer.write(out, 'new', realSystem);
    assert.ok(same(contents(out), fresh), writer.name);
    assert.deepEqual(readdirSync(path.dirname(out)), [writer.file]);
  }
});

test('an exported folder of TensorFlow.js opens in every state that a killed export leaves', async (t) => {
  const [writer] = (await writers(t)).filter(({ file }) => file === 'model');
  assert.ok(writer);
  const { operations } = await rehearse(t, writer);
  for (const n of operations.keys()) {
    const out = path.join(await folder(t), 'model');
    await writer.write(out, 'old', realSystem);
    await assert.rejects(writer.write(out, 'new', failing(n, new Crash('dead'), { pid: 4242 })), Crash);
    const copy = path.join(await folder(t), 'copy');
    cpSync(out, copy, { recursive: true });
    assert.equal((await readModel(path.join(copy, 'model.json'))).nodes.length, 2);
  }
});
