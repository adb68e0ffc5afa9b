import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { parquetReadObjects } from 'hyparquet';
import type { Prediction } from '../../src/commands/prediction.js';
import { formatOfFile, type PredictionFormat, predictionChunks } from '../../src/commands/prediction-table.js';
import { csvField, parseCsv } from '../../src/formats/csv.js';

async function bytesOf(
  rows: readonly Prediction[],
  classes: readonly string[],
  format: PredictionFormat,
  top?: number,
): Promise<Buffer> {
  const all = async function* () {
    yield* rows;
  };
  const chunks: Uint8Array[] = [];
  for await (const chunk of predictionChunks(all(), { classes, format, top })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('cells that a spreadsheet would run are made harmless, numbers and the rest stay', () => {
  const cells = ['=1+1', '+cmd', '@x', '-a', '-', '\tx', '-1.5', '+3', 'a=b', 'ant, bee', '=a"b', -2];
  assert.deepEqual(cells.map(csvField), [
    ...["'=1+1", "'+cmd", "'@x", "'-a", "'-", "'\tx", '-1.5', '+3', 'a=b', '"ant, bee"', `"'=a""b"`, '-2'],
  ]);
});

test('predictions as CSV: columns in the head’s order, whole numbers too, and nothing that runs', async () => {
  const classes = ['=x', '10', '2'];
  const scores = classes.map((label, k) => ({ label, score: [0.5, 0.25, 0.25][k] ?? 0 }));
  const text = (
    await bytesOf([{ path: 'a\u001b[31m,b.png', label: '=x', score: 0.5, scores }], classes, 'csv')
  ).toString();
  const [header, row] = [...parseCsv(text, 'x')].map(({ fields }) => fields);
  assert.deepEqual(header, ['path', 'label', 'score', "'=x", '10', '2', 'error']);
  assert.deepEqual(row?.slice(1), ["'=x", '0.5', '0.5', '0.25', '0.25', '']);
  assert.ok(!text.includes('\u001b'));
});

const ROWS: readonly Prediction[] = [
  {
    path: 'é/1.png',
    label: 'error',
    score: 0.75,
    scores: [
      { label: '__proto__', score: 0.25 },
      { label: 'error', score: 0.75 },
    ],
  },
  { path: 'bad.jpg', error: 'it is empty' },
];
const CLASSES = ['__proto__', 'error'];

test('an image that cannot be used has its row in every format, also among classes of odd names', async () => {
  const text = async (format: PredictionFormat) => (await bytesOf(ROWS, CLASSES, format)).toString();
  assert.equal(await text('plain'), 'é/1.png\terror\t0.7500\nbad.jpg\t\t\tit is empty\n');
  assert.equal(
    await text('csv'),
    'path,label,score,__proto__,score_error,error\né/1.png,error,0.75,0.25,0.75,\nbad.jpg,,,,,it is empty\n',
  );
  assert.deepEqual(JSON.parse(await text('json')), ROWS);
  assert.deepEqual(
    (await text('jsonl'))
      .trim()
      .split('\n')
      .map((one) => JSON.parse(one)),
    ROWS,
  );
  const table = tableFromIPC(await bytesOf(ROWS, CLASSES, 'arrow'));
  const expected = [
    ['é/1.png', 'error', 0.75, 0.25, 0.75, null],
    ['bad.jpg', null, null, null, null, 'it is empty'],
  ];
  const names = ['path', 'label', 'score', 'score___proto__', 'score_error', 'error'];
  const cells = (row: number) => names.map((name) => table.getChild(name)?.get(row) ?? null);
  assert.deepEqual([cells(0), cells(1)], expected);
  const parquet = new Uint8Array(await bytesOf(ROWS, CLASSES, 'parquet'));
  const rows = await parquetReadObjects({ file: parquet.buffer });
  assert.deepEqual(
    rows.map((row) => names.map((name) => row[name] ?? null)),
    expected,
  );
});

test('the likeliest classes stand in columns of their own; none and many rows are whole files', async () => {
  const top = (await bytesOf(ROWS, CLASSES, 'csv', 1)).toString();
  assert.match(top, /^path,label,score,label_1,score_1,error\n/);
  const many = Array.from({ length: 40_000 }, (_, i): Prediction => ({ ...(ROWS[i % 2] as Prediction), path: `${i}` }));
  for (const rows of [[], many]) {
    assert.equal(JSON.parse((await bytesOf(rows, CLASSES, 'json')).toString()).length, rows.length);
    assert.equal(tableFromIPC(await bytesOf(rows, CLASSES, 'arrow')).numRows, rows.length);
    const file = new Uint8Array(await bytesOf(rows, CLASSES, 'parquet')).buffer;
    assert.deepEqual(
      (await parquetReadObjects({ file })).map(({ path }) => path),
      rows.map(({ path }) => path),
    );
  }
});

test('a file’s ending chooses the format of a table', () => {
  const endings = ['x.csv', 'X.JSONL', 'a.json', 'x.arrow', 'x.parquet', 'x', 'x.txt'];
  assert.deepEqual(
    endings.map((name) => formatOfFile(name)),
    ['csv', 'jsonl', 'json', 'arrow', 'parquet', undefined, undefined],
  );
  assert.throws(() => formatOfFile('x.xlsx'), {
    name: 'UsageError',
    message: /^a table is not written as \.xlsx: give out/,
  });
});
