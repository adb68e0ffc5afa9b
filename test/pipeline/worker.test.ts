import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Binary, RecordBatchStreamWriter, Table, tableFromIPC, vectorFromArray } from 'apache-arrow';
import { start } from '../helpers/cli.js';
import { fixture, root } from '../helpers/fixtures.js';
import { needsPython, python } from '../helpers/peers.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const FLAGS = ['worker', '--base', fixture('keras/tiny.keras'), '--layer', 'maps', '--preprocess', 'tf'];

/** A running worker, the bytes of some pictures, and what it says. */
async function running(t: TestContext) {
  const data = path.join(await pictures(t, 4), 'light');
  const bytes = readdirSync(data).map((name) => readFileSync(path.join(data, name)));
  const child = start(FLAGS, await folder(t));
  t.after(() => child.kill('SIGKILL'));
  const said = { out: Buffer.alloc(0), err: '' };
  child.stdout.on('data', (piece) => {
    said.out = Buffer.concat([said.out, piece]);
  });
  child.stderr.on('data', (piece) => {
    said.err += piece;
  });
  const table = new Table({ bytes: vectorFromArray(bytes, new Binary()) });
  const writer = new RecordBatchStreamWriter().reset(undefined, table.schema);
  for (const batch of table.batches) writer.write(batch);
  writer.finish();
  return { child, said, stream: writer.toUint8Array(true), rows: bytes.length };
}

test('the command answers a stream on stdout and nothing else, and ends with 0', async (t) => {
  const { child, said, stream, rows } = await running(t);
  child.stdin.end(stream);
  const [code] = await once(child, 'close');
  assert.deepEqual([code, said.err], [0, '']);
  const table = tableFromIPC(said.out);
  assert.equal(table.numRows, rows);
  assert.equal(table.getChild('features')?.nullCount, 0);
});

test('a stream that is cut ends the command with 1 and one sentence', async (t) => {
  const { child, said, stream } = await running(t);
  child.stdin.end(stream.subarray(0, -8));
  const [code] = await once(child, 'close');
  assert.equal(code, 1);
  assert.match(
    said.err,
    /^permafrost: the Arrow stream cannot be used: it ends without the mark that ends a stream.*\n$/,
  );
  assert.ok(!said.out.subarray(-8).equals(Buffer.from('ffffffff00000000', 'hex')));
});

test('a worker that cannot begin ends, though its client keeps the stream open', async (t) => {
  const child = start(['worker', '--base', 'no-such-base'], await folder(t));
  t.after(() => child.kill('SIGKILL'));
  child.stdin.on('error', () => {});
  child.stdin.write((await running(t)).stream.subarray(0, -8));
  const [code] = await once(child, 'close');
  assert.equal(code, 2);
});

test('SIGTERM ends a worker that waits for more within a second, without an end mark', {
  skip: process.platform === 'win32',
}, async (t) => {
  const { child, said, stream } = await running(t);
  child.stdin.on('error', () => {});
  child.stdin.write(stream.subarray(0, -8));
  while (said.out.length < 1000) await once(child.stdout, 'data');
  const begun = performance.now();
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  assert.equal(code, 143);
  assert.ok(performance.now() - begun < 1000);
  assert.match(said.err, /^permafrost: stopped/);
  assert.ok(!said.out.subarray(-8).equals(Buffer.from('ffffffff00000000', 'hex')));
});

test(
  'columns of every type of pyarrow go along unchanged, compressed or not',
  needsPython('pyarrow', 'numpy'),
  async (t) => {
    const data = path.join(await pictures(t, 8), 'light');
    const { status, stderr } = spawnSync(
      python,
      [fixture('worker_columns.py'), process.execPath, path.join(root, 'dist/pipeline/cli.js'), data, ...FLAGS],
      { cwd: await folder(t), encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
  },
);
