import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { HeadError } from '../../src/errors.js';
import { features, type PredictOptions, predict, sample, sweep, train, trainPlan } from '../../src/index.js';
import { fixture } from '../helpers/fixtures.js';
import { labelledSet } from '../helpers/labelled-set.js';

// Options without effect that only what is found can tell.

const work = mkdtempSync(path.join(tmpdir(), 'permafrost-told-'));
after(() => rmSync(work, { recursive: true }));
let set: Awaited<ReturnType<typeof labelledSet>>;
before(async () => {
  set = await labelledSet(work, 60, 4);
});

test('a share of validation beside given splits is noted, by each way to train', async () => {
  const without = path.join(work, 'no-split.csv');
  writeFileSync(without, readFileSync(set.labels('binary'), 'utf8').replace(/,(split|train|val|test)$/gm, ''));
  const common = { data: set.data, features: set.features, cache: set.cache, epochs: 2, bootstrap: 0 };
  const told = async (run: (onWarning: (message: string) => void) => Promise<unknown>): Promise<string[]> => {
    const notes: string[] = [];
    await run((message) => notes.push(message));
    return notes.filter((note) => note.includes('no effect'));
  };
  const note = 'the labels give the images that validate: a share of validation (val 0.4) has no effect';
  const options = { ...common, labels: set.labels('binary'), val: 0.4 };
  assert.deepEqual(await told((onWarning) => train({ ...options, name: 'a', onWarning })), [note]);
  assert.deepEqual(await told((onWarning) => sweep({ ...options, name: 'b', grid: ['l2=0,0.1'], onWarning })), [note]);
  const plan = { heads: [{ name: 'c', labels: set.labels('binary'), options: { epochs: 2 }, fit: { val: 0.4 } }] };
  const { data, cache } = set;
  assert.deepEqual(
    await told((onWarning) => trainPlan({ data, features: set.features, cache, plan, onWarning } as never)),
    [`c: ${note}`],
  );
  assert.deepEqual(
    await told((onWarning) => train({ ...common, labels: without, val: 0.4, name: 'd', onWarning })),
    [],
  );
});

test('a base that is not the head’s is refused, also where the cache keeps the head’s own', async () => {
  const cache = path.join(work, 'cache');
  const { dir: data } = await sample(path.join(work, 'pictures'), { perClass: 4 });
  await features({ data, cache, base: 'xception-mini' });
  await train({ data, cache, base: 'xception-mini', name: 'mini', epochs: 2, bootstrap: 0 });
  const answers = async (options: Partial<PredictOptions>): Promise<number> => {
    let count = 0;
    for await (const _ of predict({ paths: [data], head: 'mini', cache, ...options })) count++;
    return count;
  };
  assert.equal(await answers({}), 8);
  assert.equal(await answers({ base: 'xception-mini' }), 8);
  const refused = (options: Partial<PredictOptions>, what: string) =>
    assert.rejects(answers(options), (error: Error) => {
      assert.ok(error instanceof HeadError, String(error));
      assert.match(error.message, new RegExp(`^${what} is not the base that this head was trained on \\(`));
      return true;
    });
  await refused({ base: 'mobilenet', weights: 'random:1', alpha: 0.25 }, 'mobilenet');
  await refused({ base: 'xception-mini', pooling: 'max' }, 'xception-mini');
});

test('what a model is noted for is told once a run', async () => {
  const base = fixture('models/keras3_mixed_float16.keras');
  const { dir: data } = await sample(path.join(work, 'few'), { perClass: 4 });
  const told: string[] = [];
  const cache = path.join(work, 'once');
  const onWarning = (note: string): unknown => told.push(note);
  const { extracted } = await features({ data, cache, base, preprocess: 'tf', onWarning });
  assert.equal(extracted, 8);
  assert.deepEqual(
    told.map((note) => /policy mixed_float16|scales its pixels itself/.exec(note)?.[0]),
    ['policy mixed_float16', 'scales its pixels itself'],
  );
});
