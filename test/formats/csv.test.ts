import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOfFile, predictionChunks } from '../../src/commands/prediction-table.js';
import { csvField, parseCsv } from '../../src/formats/csv.js';

test('cells that a spreadsheet would run are made harmless, numbers and the rest stay', () => {
  const cells = ['=1+1', '+cmd', '@x', '-a', '-', '\tx', '-1.5', '+3', 'a=b', 'ant, bee', '=a"b', -2];
  assert.deepEqual(cells.map(csvField), [
    ...["'=1+1", "'+cmd", "'@x", "'-a", "'-", "'\tx", '-1.5', '+3', 'a=b', '"ant, bee"', `"'=a""b"`, '-2'],
  ]);
});

test('predictions as CSV: columns in the head’s order, whole numbers too, and nothing that runs', async () => {
  const classes = ['=x', '10', '2'];
  const scores = classes.map((label, k) => ({ label, score: [0.5, 0.25, 0.25][k] ?? 0 }));
  async function* one() {
    yield { path: 'a\u001b[31m,b.png', label: '=x', score: 0.5, scores };
  }
  let text = '';
  for await (const chunk of predictionChunks(one(), classes, 'csv')) text += Buffer.from(chunk).toString();
  const [header, row] = [...parseCsv(text, 'x')].map(({ fields }) => fields);
  assert.deepEqual(header, ['path', 'label', 'score', "'=x", '10', '2']);
  assert.deepEqual(row?.slice(1), ["'=x", '0.5', '0.5', '0.25', '0.25']);
  assert.ok(!text.includes('\u001b'));
});

test('a file’s ending chooses the format of predictions', () => {
  const endings = ['x.csv', 'X.JSONL', 'a.json', 'x.arrow', 'x', 'x.txt'];
  assert.deepEqual(endings.map(formatOfFile), ['csv', 'json', 'json', 'arrow', 'plain', 'plain']);
  assert.throws(() => formatOfFile('x.parquet'), { name: 'UsageError' });
});
