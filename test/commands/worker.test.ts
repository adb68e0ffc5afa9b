import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  Binary,
  type DataType,
  Int32,
  RecordBatchStreamWriter,
  Table,
  tableFromArrays,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { PermafrostError } from '../../src/errors.js';
import { END, encapsulated } from '../../src/formats/arrow/columns.js';
import { arrowMessages } from '../../src/formats/arrow/messages.js';
import { FeatureSet, features, type WorkerOptions, worker } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { fingerprint } from '../../src/store/index.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { mutate } from '../helpers/mutate.js';
import { pictures } from '../helpers/pictures.js';
import { assertRefusal } from '../helpers/refusals.js';
import { bits, folder } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;

async function* pieces(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function answer(bytes: Uint8Array, options: WorkerOptions, size?: number): Promise<Buffer> {
  const out: Uint8Array[] = [];
  for await (const piece of worker(pieces(bytes, size), options)) out.push(piece);
  return Buffer.concat(out);
}

/** A stream of batches of so many rows. */
function streamOf(table: Table, rows = table.numRows): Uint8Array {
  const writer = new RecordBatchStreamWriter().reset(undefined, table.schema);
  for (let at = 0; at < table.numRows; at += rows) {
    for (const batch of table.slice(at, at + rows).batches) writer.write(batch);
  }
  writer.finish();
  return writer.toUint8Array(true);
}

const columnsOf = (columns: Record<string, readonly [type: DataType, values: readonly unknown[]]>): Table =>
  new Table(
    Object.fromEntries(
      Object.entries(columns).map(([name, [type, values]]) => [name, vectorFromArray(values as unknown[], type)]),
    ),
  );

interface Images {
  readonly files: readonly string[];
  readonly bytes: readonly Buffer[];
  readonly cache: string;
}

async function images(t: TestContext, count: number): Promise<Images> {
  const data = await pictures(t, count);
  const files = readdirSync(data, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.png'))
    .sort()
    .map((name) => join(data, name));
  return { files, bytes: files.map((file) => readFileSync(file)), cache: await folder(t) };
}

const valuesOf = (table: Table, name: string): unknown[] => [...(table.getChild(name) ?? [])];

const hexes = (column: unknown): (string | null)[] =>
  [...(column as Iterable<Uint8Array | null>)].map((value) => value && Buffer.from(value).toString('hex'));
const vectors = (table: Table): (string | null)[] =>
  Array.from(table.getChild('features') as Iterable<{ toArray(): Float32Array } | null>, (value) => {
    if (value === null) return null;
    const { buffer, byteOffset, byteLength } = value.toArray();
    return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
  });

test('vectors of a stream are those of features, to the bit, whatever the batches and the pieces', async (t) => {
  const { files, bytes, cache } = await images(t, 21);
  const data = join(files[0] as string, '../..');
  const { dir } = await features({ ...BASE, data, cache });
  const set = await FeatureSet.open(dir);
  const expected = await bits(set);
  const table = columnsOf({
    path: [new Utf8(), files],
    bytes: [new Binary(), bytes],
    number: [new Int32(), files.map((_, i) => i * i)],
  });
  for (const [rows, size, batchSize] of [
    [100, undefined, 8],
    [1, 7, 8],
    [5, 4096, 3],
  ] as const) {
    for (const given of [table, table.select(['path', 'number'])]) {
      const found = tableFromIPC(await answer(streamOf(given, rows), { ...BASE, cache, batchSize }, size));
      assert.deepEqual(
        found.schema.fields.map(({ name }) => name),
        ['path', 'number', 'sha256', 'features', 'error'],
      );
      assert.equal(found.batches.length, Math.ceil(files.length / rows));
      assert.deepEqual(valuesOf(found, 'path'), files);
      assert.deepEqual(valuesOf(found, 'number'), valuesOf(table, 'number'));
      const keys = hexes(found.getChild('sha256'));
      const values = vectors(found);
      const errors = valuesOf(found, 'error');
      const broken = files.findIndex((file) => file.endsWith('broken.png'));
      const why = given === table ? 'it is no image' : 'it is named like an image but is none';
      for (const [i, file] of files.entries()) {
        assert.equal(values[i], i === broken ? null : expected.get(keys[i] as string), file);
        assert.equal(errors[i], i === broken ? why : null, file);
      }
      assert.equal(found.schema.metadata.get('permafrost.worker'), '1');
      assert.equal(found.schema.metadata.get('permafrost.fingerprint'), fingerprint(set.spec));
      assert.deepEqual(JSON.parse(found.schema.metadata.get('permafrost.set') ?? ''), set.spec);
    }
  }
});

test('rows that cannot be used are answered with a reason, and the stream goes on', async (t) => {
  const { bytes, cache, files } = await images(t, 2);
  const good = bytes.at(-1);
  const rows = [good, null, Buffer.from('no image'), Buffer.alloc(0), good?.subarray(0, 60), good];
  const found = tableFromIPC(await answer(streamOf(columnsOf({ bytes: [new Binary(), rows] })), { ...BASE, cache }));
  const errors = valuesOf(found, 'error');
  assert.deepEqual(errors.slice(0, 4), [null, 'it is null: the row has no image', 'it is no image', 'it is empty']);
  assert.match(String(errors[4]), /^it is a PNG that cannot be decoded whole/);
  assert.equal(errors[5], null);
  assert.deepEqual(
    hexes(found.getChild('sha256')).map((hash) => hash !== null),
    [true, false, true, false, true, true],
  );
  assert.deepEqual(
    vectors(found).map((value) => value !== null),
    [true, false, false, false, false, true],
  );
  const paths = [join(files[0] as string, '../nothing.png'), files.at(-1) as string];
  const named = tableFromIPC(await answer(streamOf(columnsOf({ path: [new Utf8(), paths] })), { ...BASE, cache }));
  assert.deepEqual(valuesOf(named, 'error'), ['it is not there: there is no such file', null]);
});

/** Whole batches of a stream that has not ended. */
async function batchesIn(stream: Uint8Array): Promise<number> {
  let batches = 0;
  try {
    for await (const { kind } of arrowMessages(pieces(stream))) if (kind === 'batch') batches++;
  } catch (error) {
    assert.match((error as Error).message, /cut|mark/);
  }
  return batches;
}

test('a client that waits for the answer to one batch before it sends the next gets it', async (t) => {
  const { bytes, cache } = await images(t, 3);
  const whole = streamOf(columnsOf({ bytes: [new Binary(), bytes] }), 1);
  const out: Uint8Array[] = [];
  const answered = { batches: 0, wake: () => {} };
  async function* slowly(): AsyncGenerator<Uint8Array> {
    let sent = 0;
    for await (const { kind, head, body } of arrowMessages(pieces(whole))) {
      yield Buffer.concat(encapsulated(head, [body]));
      if (kind === 'batch') sent++;
      while (answered.batches < sent) await new Promise<void>((wake) => Object.assign(answered, { wake }));
    }
    yield END;
  }
  for await (const piece of worker(slowly(), { ...BASE, cache })) {
    out.push(piece);
    answered.batches = await batchesIn(Buffer.concat(out));
    answered.wake();
  }
  assert.equal(tableFromIPC(Buffer.concat(out)).numRows, bytes.length);
});

test('a batch without rows, and a stream without batches, are answered in kind', async (t) => {
  const { cache } = await images(t, 2);
  const none = columnsOf({ path: [new Utf8(), []] });
  const writer = new RecordBatchStreamWriter().reset(undefined, none.schema);
  writer.write(none.batches[0]);
  writer.finish();
  for (const bytes of [writer.toUint8Array(true), streamOf(none)]) {
    const found = tableFromIPC(await answer(bytes, { ...BASE, cache }));
    assert.equal(found.numRows, 0);
    assert.equal(found.schema.fields.length, 4);
  }
});

const refused = async (bytes: Uint8Array, options: WorkerOptions, message: RegExp): Promise<void> => {
  await assert.rejects(answer(bytes, options), (error) => {
    assertRefusal(error);
    assert.match(error.message, message);
    return true;
  });
};

test('what is no stream of images is refused with one sentence', async (t) => {
  const { cache, bytes } = await images(t, 2);
  const options = { ...BASE, cache };
  const table = columnsOf({ bytes: [new Binary(), bytes] });
  await refused(Buffer.from('a text that is no stream'), options, /no Arrow stream/);
  await refused(Buffer.alloc(0), options, /ends without the mark/);
  await refused(tableToIPC(table, 'file'), options, /an Arrow file/);
  await refused(
    streamOf(tableFromArrays({ image: [1, 2] })),
    options,
    /must have a column bytes \(binary\) or path \(utf8\).*image/,
  );
  await refused(
    streamOf(tableFromArrays({ bytes: Int32Array.of(1, 2) })),
    options,
    /column bytes of the Arrow stream is Int32, and must be binary/,
  );
  const named = columnsOf({ bytes: [new Binary(), bytes], sha256: [new Int32(), [1, 2]] });
  await refused(streamOf(named), options, /a column sha256/);
});

test('a stream that is cut anywhere is refused, and its answer has no end mark', async (t) => {
  const { bytes, cache } = await images(t, 2);
  const whole = streamOf(columnsOf({ bytes: [new Binary(), bytes.map((one) => one.subarray(0, 40))] }), 1);
  const step = long ? 1 : 11;
  for (let end = 0; end < whole.length; end += step) {
    const out: Uint8Array[] = [];
    const error = await (async () => {
      for await (const piece of worker(pieces(whole.subarray(0, end)), { ...BASE, cache })) out.push(piece);
    })().then(
      () => null,
      (reason: unknown) => reason,
    );
    assertRefusal(error);
    assert.ok(!Buffer.concat(out).subarray(-8).equals(Buffer.from('ffffffff00000000', 'hex')), `cut at ${end}`);
  }
});

test('streams with any bytes changed end in an answer or one sentence', async (t) => {
  const { bytes, cache, files } = await images(t, 2);
  const table = columnsOf({
    path: [new Utf8(), files],
    bytes: [new Binary(), bytes.map((one) => one.subarray(0, 50))],
    number: [new Int32(), files.map((_, i) => i)],
  });
  const whole = Buffer.from(streamOf(table, 2));
  const random = new Random('streams');
  for (let i = 0; i < (long ? 20_000 : 400); i++) {
    const mutant = mutate(whole, random, whole);
    await answer(mutant, { ...BASE, cache }).catch((error: unknown) => {
      if (!(error instanceof PermafrostError))
        throw new Error(`mutant ${i}: ${(error as Error).stack}`, { cause: error });
    });
  }
});
