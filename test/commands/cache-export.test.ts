import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type ExportFormat, exportSet, importSet } from '../../src/commands/cache/index.js';
import { CacheError, DataError, UsageError } from '../../src/errors.js';
import { FeatureSet, type SetSpec } from '../../src/store/index.js';
import { needsPython, python } from '../helpers/peers.js';
import { bits, faulty, folder, hex, key, MAKER, spec, systemError, temporaries, vector } from '../helpers/store.js';

const D = 5;
const ROWS = 2500;
const run = promisify(execFile);
const peers = needsPython('numpy', 'pyarrow', 'polars');

async function filled(cache: string, type: SetSpec['type'] = 'float32'): Promise<FeatureSet> {
  const set = await FeatureSet.create(cache, 'test', spec(D, type));
  for (const [from, to] of [
    [0, 2000],
    [1900, ROWS],
  ] as const) {
    const writer = set.writer(MAKER);
    for (let i = from; i < to; i++) await writer.add(key(i), vector(i % 900, D));
    await writer.close();
  }
  return set;
}

async function specFile(t: TestContext, value: unknown): Promise<string> {
  const file = join(await folder(t), 'spec.json');
  await writeFile(file, JSON.stringify(value));
  return file;
}

for (const format of ['arrow', 'parquet', 'npy'] as const satisfies readonly ExportFormat[]) {
  for (const type of ['float32', 'float16'] as const) {
    test(`${format}, ${type}: out and in again gives an equal set`, async (t) => {
      const cache = await folder(t);
      const set = await filled(cache, type);
      const out = join(cache, 'out', `vectors.${format}`);
      const result = await exportSet(cache, set.dir, { out });
      assert.deepEqual([result.format, result.images, result.dim], [format, ROWS, D]);
      const other = await folder(t);
      const imported = await importSet(other, out, { spec: join(set.dir, '_set.json') });
      assert.deepEqual([imported.rows, imported.added], [ROWS, ROWS]);
      const back = await FeatureSet.open(imported.dir);
      assert.equal(back.fingerprint, set.fingerprint);
      assert.deepEqual(await bits(back), await bits(set));
      assert.equal((await back.info()).makers[0]?.engine, 'import');
      const again = await importSet(other, out, { set: imported.set });
      assert.deepEqual([again.rows, again.added], [ROWS, 0]);
      const first = await readFile(out);
      await exportSet(cache, set.dir, { out });
      assert.deepEqual(await readFile(out), first, 'the same set gives the same bytes');
    });
  }
}

test('an empty set is a file without rows', async (t) => {
  const cache = await folder(t);
  const set = await FeatureSet.create(cache, 'test', spec(D));
  for (const format of ['arrow', 'parquet', 'npy'] as const) {
    const out = join(cache, `empty.${format}`);
    assert.equal((await exportSet(cache, set.dir, { out })).images, 0);
    assert.equal((await importSet(cache, out, { set: set.dir })).rows, 0);
  }
});

const PEERS: Record<ExportFormat, string> = {
  arrow: `import sys, pyarrow as pa
t = pa.ipc.open_file(sys.argv[1]).read_all(); t.validate(full=True)
ids = [k.hex() for k in t["sha256"].to_pylist()]; rows = t["features"].to_pylist()`,
  parquet: `import sys, pyarrow.parquet as pq, polars as pl
t = pq.read_table(sys.argv[1]); t.validate(full=True)
assert pl.read_parquet(sys.argv[1]).height == t.num_rows
ids = [k.hex() for k in t["sha256"].to_pylist()]; rows = t["features"].to_pylist()`,
  npy: `import sys, numpy as np
a = np.load(sys.argv[1], mmap_mode="r"); ids = np.loadtxt(sys.argv[1][:-4] + ".ids.txt", dtype=str).tolist()
assert a.dtype == np.float32 and len(ids) == len(a)
rows = a.tolist()`,
};

for (const [format, script] of Object.entries(PEERS)) {
  test(`Python reads ${format} as it was written`, peers, async (t) => {
    const cache = await folder(t);
    const set = await filled(cache);
    const out = join(cache, `vectors.${format}`);
    await exportSet(cache, set.dir, { out });
    const print =
      'import json, struct\nprint(json.dumps({k: struct.pack(f"<{len(v)}f", *v).hex() for k, v in zip(ids, rows)}))';
    const { stdout } = await run(python, ['-c', `${script}\n${print}`, out], { maxBuffer: 2 ** 28 });
    const found = Object.entries(JSON.parse(stdout)).sort(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(new Map(found), await bits(set));
  });
}

test('what Python wrote is imported: lists of any kind, hashes as bytes or text, float64', peers, async (t) => {
  const cache = await folder(t);
  const script = `import sys, json, numpy as np, pyarrow as pa, pyarrow.parquet as pq
out, ids = sys.argv[1], json.loads(sys.argv[2])
rows = [[i + j / 4 for j in range(5)] for i in range(len(ids))]
binary = pa.array([bytes.fromhex(k) for k in ids], pa.binary(32))
fixed = pa.array(rows, pa.list_(pa.float32(), 5))
table = pa.table({"more": ids, "sha256": binary, "features": fixed})
pq.write_table(table, out + "/a.parquet", compression="snappy")
pq.write_table(pa.table({"sha256": ids, "features": pa.array(rows, pa.list_(pa.float64()))}), out + "/b.parquet", row_group_size=7, compression="none")
for name, t in [("c", table), ("d", pa.table({"sha256": ids, "features": pa.array(rows, pa.list_(pa.float64()))})), ("e", pa.table({"sha256": binary, "features": fixed.cast(pa.list_(pa.float16(), 5))}))]:
    with pa.ipc.new_file(out + f"/{name}.arrow", t.schema) as w: w.write_table(t.slice(3), max_chunksize=10); w.write_table(t.slice(0, 3))
np.save(out + "/f.npy", np.array(rows)); open(out + "/f.ids.txt", "w").write("\\n".join(ids))
`;
  const ids = Array.from({ length: 40 }, (_, i) => hex(i));
  await run(python, ['-c', script, cache, JSON.stringify(ids)]);
  const files = (await readdir(cache)).filter((name) => /\.(parquet|arrow|npy)$/.test(name));
  assert.equal(files.length, 6);
  for (const file of files) {
    const other = await folder(t);
    const { dir, added } = await importSet(other, join(cache, file), { spec: await specFile(t, spec(D)) });
    assert.equal(added, 40, file);
    const { vectors } = await (await FeatureSet.open(dir)).read(ids);
    assert.deepEqual(
      [...vectors],
      ids.flatMap((_, i) => Array.from({ length: 5 }, (_, j) => i + j / 4)),
      file,
    );
  }
});

test('what does not fit is refused with its row, and nothing of the file is stored', async (t) => {
  const cache = await folder(t);
  const set = await filled(cache);
  const wide = await FeatureSet.create(cache, 'wide', spec(D + 1));
  const half = await FeatureSet.create(cache, 'half', spec(D, 'float16'));
  const npy = join(cache, 'v.npy');
  for (const format of ['arrow', 'parquet', 'npy'] as const) {
    const out = join(cache, `v.${format}`);
    await exportSet(cache, set.dir, { out });
    await assert.rejects(importSet(cache, out, { set: wide.dir }), {
      name: 'DataError',
      message: /have 6 values, found 5/,
    });
    const whole = await readFile(out);
    for (const length of [0, 5, 100, whole.length >> 1, whole.length - 1]) {
      const cut = join(cache, `cut.${format}`);
      await writeFile(cut, whole.subarray(0, length));
      await assert.rejects(
        importSet(cache, cut, { set: half.dir, ...(format === 'npy' ? { ids: join(cache, 'v.ids.txt') } : {}) }),
        DataError,
        `${format} cut at ${length}`,
      );
    }
  }
  const bytes = await readFile(npy);
  bytes.writeFloatLE(Number.NaN, bytes.length - 4);
  await writeFile(npy, bytes);
  await assert.rejects(importSet(cache, npy, { set: half.dir }), { message: /row 2499 holds NaN, which float16/ });
  bytes.writeFloatLE(1e6, bytes.length - 4);
  await writeFile(npy, bytes);
  await assert.rejects(importSet(cache, npy, { set: half.dir }), { message: /row 2499 holds 1000000/ });
  const idsFile = join(cache, 'v.ids.txt');
  const lines = (await readFile(idsFile, 'utf8')).trimEnd().split('\n');
  for (const [text, message] of [
    [lines.slice(1).join('\n'), /a line for each of 2500 rows, found 2499/],
    [[...lines, hex(9999)].join('\n'), /a line for each of 2500 rows and has more/],
    [['abc', ...lines.slice(1)].join('\n'), /line 1: sha256 must be 32 bytes or 64 hexadecimal digits/],
  ] as const) {
    await writeFile(idsFile, text);
    await assert.rejects(importSet(cache, npy, { set: set.dir }), { name: 'DataError', message });
  }
  await assert.rejects(importSet(cache, npy, { set: set.dir, ids: join(cache, 'none') }), DataError);
  await assert.rejects(importSet(cache, join(cache, 'none.arrow'), { set: set.dir }), { message: /does not exist/ });
  assert.equal((await half.info()).parts, 0);
  assert.equal((await wide.info()).parts, 0);
});

test('wrong use', async (t) => {
  const cache = await folder(t);
  const set = await filled(cache);
  const out = join(cache, 'v.arrow');
  await assert.rejects(exportSet(cache, set.dir, { out: join(cache, 'v.csv') }), UsageError);
  await exportSet(cache, set.dir, { out });
  await assert.rejects(importSet(cache, out, {}), { name: 'UsageError', message: /--set .* or --spec/ });
  await assert.rejects(importSet(cache, out, { set: 'none' }), CacheError);
  await assert.rejects(importSet(cache, out, { spec: await specFile(t, { format: 1 }) }), CacheError);
  await assert.rejects(importSet(cache, out, { spec: out }), CacheError);
});

test('a disk that fails leaves the file that was there and no other', async (t) => {
  const cache = await folder(t);
  const set = await filled(cache);
  const out = join(cache, 'out', 'v.npy');
  await exportSet(cache, set.dir, { out });
  const before = await readFile(out);
  for (const operation of ['open', 'write', 'sync', 'rename'] as const) {
    const system = faulty((now, path) =>
      now === operation && path.includes('_tmp-') ? systemError('ENOSPC') : undefined,
    );
    await assert.rejects(exportSet(cache, set.dir, { out, system }), {
      name: 'FileError',
      message: /no space is left/,
    });
    assert.deepEqual(await readFile(out), before);
    assert.deepEqual(await temporaries(cache), []);
  }
});
