import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Table, vectorFromArray } from 'apache-arrow';
import { arrowFile } from '../../src/formats/arrow/file.js';
import { readSweepResults } from '../../src/heads/sweep-results.js';
import { sweep } from '../../src/index.js';
import { labelledSet } from '../helpers/labelled-set.js';
import { folder } from '../helpers/store.js';

test('the results of a sweep come back as they were written; damaged ones are refused by name', async (t) => {
  const root = await folder(t);
  const { cache, data, features, labels } = await labelledSet(root, 60, 4);
  const grid = ['lr=1e-3,1e-1', 'l2=0,1e-3', 'hidden=none,4'];
  const done = await sweep({
    data,
    cache,
    features,
    labels: labels('binary'),
    name: 's',
    grid,
    epochs: 3,
    bootstrap: 0,
  });
  const dir = path.dirname(done.results);
  const { name, by, tried, columns, rows, head } = await readSweepResults(dir);
  assert.deepEqual([name, by, tried, rows.length], ['s', 'loss', done.tried, 8]);
  assert.equal(typeof head, 'string');
  const at = (column: string): number => columns.indexOf(column);
  for (const [i, { rank, loss, options, epochs }] of done.heads.entries()) {
    const row = rows[i] ?? [];
    assert.deepEqual(
      [row[at('rank')], row[at('val_loss')], row[at('l2')], row[at('epochs')]],
      [rank, loss, options.l2, epochs],
    );
    assert.equal(row[at('hidden')], JSON.stringify(options.hidden));
  }

  const broken = path.join(root, 'broken');
  mkdirSync(broken);
  const refused = async (bytes: Uint8Array, message: RegExp): Promise<void> => {
    writeFileSync(path.join(broken, 'results.arrow'), bytes);
    await assert.rejects(readSweepResults(broken), { name: 'HeadError', message });
  };
  const whole = readFileSync(done.results);
  await refused(
    whole.subarray(0, 700),
    /does not hold the results of a sweep \(it is not a whole Arrow file\): run the sweep again$/,
  );
  await refused(Buffer.from('no arrow'), /does not hold the results of a sweep/);
  await refused(arrowFile(new Table({ rank: vectorFromArray([1]) })), /\(it says nothing of the sweep\)/);
  await assert.rejects(readSweepResults(path.join(root, 'nowhere')), {
    name: 'HeadError',
    message: /does not exist: give the name or the folder of a sweep$/,
  });
});
