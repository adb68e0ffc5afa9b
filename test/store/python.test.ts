import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { FeatureSet } from '../../src/store/index.js';
import { bits, folder, key, MAKER, spec, vector } from '../helpers/store.js';

/** Prints {key: vector bits} of `table`, an Arrow table. */
const PRINT = `
import json, struct
code = {"float": "f", "halffloat": "e"}[str(table.schema.field("features").type.value_type)]
assert table.schema.field("sha256").type == pa.binary(32), table.schema
assert table.column("features").null_count == 0
print(json.dumps({k.hex(): struct.pack(f"<{len(v)}f", *v).hex() for k, v in zip(table.column("sha256").to_pylist(), table.column("features").to_pylist())}))
`;

import { needsPython, python } from '../helpers/peers.js';

type Reader = { modules: string; script: string; types: readonly ('float32' | 'float16')[] };

const READERS: Record<string, Reader> = {
  'pyarrow.dataset': {
    types: ['float32', 'float16'],
    modules: 'pyarrow.dataset',
    script: `import sys, pyarrow as pa, pyarrow.dataset as ds
table = ds.dataset(sys.argv[1], format="ipc").to_table()
assert not table.schema.field("sha256").nullable
assert table.schema.field("features").type == pa.list_(table.schema.field("features").type.value_type, 7)
table.validate(full=True)`,
  },
  'pyarrow.ipc stream after the magic': {
    types: ['float32', 'float16'],
    modules: 'pyarrow',
    script: `import sys, glob, pyarrow as pa
table = pa.concat_tables(pa.ipc.open_stream(open(f, "rb").read()[8:]).read_all().replace_schema_metadata() for f in glob.glob(sys.argv[1] + "/part-*"))`,
  },
  'polars, by pattern': {
    types: ['float32', 'float16'],
    modules: 'pyarrow, polars',
    script: `import sys, pyarrow as pa, polars as pl
table = pl.read_ipc(sys.argv[1] + "/*.arrow").to_arrow()
table = table.cast(pa.schema([("sha256", pa.binary(32)), ("features", table.schema.field("features").type)]))`,
  },
  // DuckDB knows no float16.
  'DuckDB through Arrow': {
    types: ['float32'],
    modules: 'pyarrow.dataset, duckdb',
    script: `import sys, duckdb, pyarrow as pa, pyarrow.dataset as ds
d = ds.dataset(sys.argv[1], format="ipc")
table = duckdb.sql("select sha256, features from d").arrow()
table = table if isinstance(table, pa.Table) else table.read_all()
table = table.cast(pa.schema([("sha256", pa.binary(32)), ("features", d.schema.field("features").type)]))`,
  },
};

for (const [name, { modules, script, types }] of Object.entries(READERS)) {
  for (const type of types) {
    test(`${name} reads a set of ${type} as it lies on disk`, needsPython(...modules.split(', ')), async (t) => {
      const set = await FeatureSet.create(await folder(t), 'test', spec(7, type));
      const writer = set.writer(MAKER);
      for (let i = 0; i < 1500; i++) await writer.add(key(i), vector(i % 900, 7));
      await writer.close();
      const { stdout } = await promisify(execFile)(python, ['-c', script + PRINT, set.dir], { maxBuffer: 2 ** 28 });
      assert.deepEqual(
        new Map(Object.entries(JSON.parse(stdout)).sort(([a], [b]) => (a < b ? -1 : 1))),
        await bits(set),
      );
    });
  }
}
