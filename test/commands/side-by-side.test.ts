import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { HeadPredictor } from '../../src/heads/head.js';
import { JointTraining } from '../../src/heads/joint.js';
import type { PlannedHead } from '../../src/heads/plan-file.js';
import { loadHead, type TrainResult, train, trainPlan } from '../../src/index.js';
import type { Task } from '../../src/labels/targets.js';
import { Random } from '../../src/random.js';
import { type TrainedHead, type TrainingJob, trainHead } from '../../src/train/train.js';
import { memoryVectors } from '../../src/train/vectors.js';
import { assertClose } from '../helpers/close.js';
import { labelledSet } from '../helpers/labelled-set.js';

const D = 12;
const work = mkdtempSync(path.join(tmpdir(), 'permafrost-beside-'));
after(() => rmSync(work, { recursive: true }));
let set: Awaited<ReturnType<typeof labelledSet>>;
before(async () => {
  set = await labelledSet(work, 200, D);
});
const common = (cache = set.cache) => ({ data: set.data, features: set.features, cache });

/** A label file whose labels are those of other images, and `rows` of the images. */
function moved(task: Task, by: number, rows = 200): string {
  const [header, ...lines] = readFileSync(set.labels(task), 'utf8').trim().split('\n');
  const labels = lines.map((line) => line.split(',')[1]);
  const turned = lines.map((line, i) => {
    const [hash, , split] = line.split(',');
    return [hash, labels[(i + by) % labels.length], split].join(',');
  });
  const file = path.join(work, `${task}-${by}-${rows}.csv`);
  writeFileSync(file, `${[header, ...turned.slice(0, rows)].join('\n')}\n`);
  return file;
}

const probe = Float32Array.from(
  { length: 50 * D },
  (
    (random) => () =>
      random.normal()
  )(new Random('probe')),
);
async function answers(dir: string): Promise<Float32Array> {
  const predictor = await HeadPredictor.open(await loadHead(dir));
  try {
    return await predictor.predict(probe, 50);
  } finally {
    await predictor.release();
  }
}

/** A label file without splits. */
function undivided(task: Task): string {
  const lines = readFileSync(set.labels(task), 'utf8').trim().split('\n');
  const file = path.join(work, `${task}-undivided.csv`);
  writeFileSync(file, lines.map((line) => `${line.split(',').slice(0, 2).join(',')}\n`).join(''));
  return file;
}

const FEW = { epochs: 8, patience: 2, learningRate: 0.02 };
const EACH: Record<Task, Pick<PlannedHead, 'options' | 'fit'>[]> = {
  binary: [
    { options: FEW, fit: {} },
    { options: { ...FEW, learningRate: 0.05, optimizer: 'adamw' }, fit: { refit: true } },
    { options: { ...FEW, epochs: 5, classWeight: 'balanced' }, fit: { calibrate: true, refit: true } },
    { options: { ...FEW, seed: 3 }, fit: { folds: 3 } },
    { options: { optimizer: 'lbfgs', l2: 0.01 }, fit: { folds: 3 } },
  ],
  multiclass: [
    { options: FEW, fit: { folds: 4 } },
    { options: { ...FEW, hidden: [6], dropout: 0.2 }, fit: { refit: true } },
    { options: { ...FEW, batchSize: 10, scale: 'standard' }, fit: {} },
    { options: { optimizer: 'lda' }, fit: { shots: 10 } },
  ],
  multilabel: [
    { options: FEW, fit: { refit: true } },
    { options: { ...FEW, optimizer: 'sgd', momentum: 0.9 }, fit: { folds: 3 } },
  ],
  regression: [
    { options: FEW, fit: { refit: true } },
    { options: { ...FEW, optimizer: 'rmsprop' }, fit: { folds: 3 } },
    { options: { optimizer: 'ridge' }, fit: {} },
  ],
};

test('every head of a plan becomes what it becomes alone, of all tasks, folds, refits, labels and images', async () => {
  const heads = (Object.keys(EACH) as Task[]).flatMap((task) =>
    [set.labels(task), moved(task, 7), ...(task === 'binary' ? [moved(task, 0, 150)] : [])].flatMap((labels, file) =>
      EACH[task].map(({ options, fit }, i): PlannedHead => {
        return { name: `${task}-${file}-${i}`, labels, task, options, fit: { bootstrap: 0, ...fit } };
      }),
    ),
  );
  const seen: string[] = [];
  const results = await trainPlan({ ...common(), plan: { heads }, onHead: ({ head }) => seen.push(head) });
  assert.deepEqual(
    results.map(({ head, status }) => [head, status]),
    heads.map(({ name }) => [name, 'trained']),
  );
  assert.deepEqual(seen.sort(), heads.map(({ name }) => name).sort());
  for (const [i, { name, labels, task, options, fit }] of heads.entries()) {
    const beside = results[i] as TrainResult;
    const alone = await train({
      ...common(path.join(work, 'alone')),
      ...{ name, labels: labels as string, task: task as Task, ...options, ...fit },
    });
    assert.equal(beside.bestEpoch, alone.bestEpoch, name);
    assert.deepEqual(
      beside.folds?.map(({ bestEpoch }) => bestEpoch),
      alone.folds?.map(({ bestEpoch }) => bestEpoch),
      name,
    );
    assertClose([beside.metrics?.loss ?? 0], [alone.metrics?.loss ?? 0], 1e-5 * Math.max(1, alone.metrics?.loss ?? 0));
    const [a, b] = [await answers(beside.dir), await answers(alone.dir)];
    assertClose(a, b, 1e-5 * Math.max(1, ...b.map(Math.abs)), name);
  }
});

test('a plan that is stopped keeps the heads that have ended, and goes on from there', async () => {
  const control = new AbortController();
  const head = (name: string, epochs: number): PlannedHead => ({
    name,
    labels: set.labels('binary'),
    options: { epochs, patience: epochs },
    fit: { bootstrap: 0 },
  });
  const plan = (epochs: number) => ({ heads: [head('long', epochs), head('short', 2), head('longer', epochs)] });
  const run = trainPlan({
    ...common(),
    plan: plan(100_000),
    signal: control.signal,
    onHead: ({ head }) => control.abort(new Error(`stopped after ${head}`)),
  });
  await assert.rejects(run, /stopped after short/);
  const again = await trainPlan({ ...common(), plan: plan(5) });
  assert.deepEqual(
    again.map(({ status }) => status),
    ['trained', 'reused', 'trained'],
  );
});

test('what does not fit at once trains in turns, and is the same', async () => {
  const random = new Random(1);
  const vectors = memoryVectors(
    Float32Array.from({ length: 60 * 4 }, () => random.normal()),
    4,
  );
  const data = {
    task: 'binary' as const,
    classes: ['no', 'yes'],
    vectors,
    y: Int32Array.from({ length: 60 }, (_, i) => i % 2),
  };
  const jobs = [1, 2, 3].map((i): TrainingJob => ({ data, val: null, heads: [{ epochs: 3, learningRate: i / 100 }] }));
  const running: string[] = [];
  const noted = jobs.map((job, i) => ({
    ...job,
    hooks: { onEpoch: (_: number, { epoch }: { epoch: number }) => running.push(`${i}.${epoch}`) },
  }));
  const joint = new JointTraining(2, 10);
  const [first, second] = [joint.train(noted.slice(0, 1)), joint.train(noted.slice(1))];
  const trained = [...(await first), ...(await second)].flat() as TrainedHead[];
  assert.deepEqual(running, ['0.1', '1.1', '0.2', '1.2', '0.3', '1.3', '2.1', '2.2', '2.3']);
  for (const [i, { data, val, heads }] of jobs.entries()) {
    const alone = await trainHead(data, val, heads[0]);
    assertClose(trained[i]?.net.layers[0]?.kernel ?? [], alone.net.layers[0]?.kernel ?? [], 1e-6);
  }
});

for (const task of Object.keys(EACH) as Task[]) {
  test(`what a cross-validation keeps is the head of all images at the median of the best epochs: ${task}`, async () => {
    for (const options of [{ learningRate: 0.2 }, { learningRate: 0.02, optimizer: 'sgd' }] as const) {
      const of = { ...common(), labels: undivided(task), epochs: 30, patience: 2, ...options };
      const folded = await train({ ...of, folds: 5, name: `folds-${task}-${options.learningRate}` });
      const best = folded.folds?.map(({ bestEpoch }) => bestEpoch).sort((a, b) => a - b) ?? [];
      const epochs = best[2] as number;
      const name = `plain-${task}-${options.learningRate}`;
      const plain = await train({ ...of, epochs, patience: epochs, val: 0, name });
      assert.deepEqual([folded.bestEpoch, folded.epochs], [epochs, epochs]);
      const expected = await answers(plain.dir);
      const scale = Math.max(1, ...expected.map(Math.abs));
      assertClose(await answers(folded.dir), expected, 1e-5 * scale, `${task} ${options.optimizer}`);
      const [a, b] = await Promise.all([folded, plain].map(({ dir }) => loadHead(dir)));
      assert.deepEqual(
        [a?.info.history.length, a?.info.history.map(({ valLoss }) => valLoss)],
        [epochs, b?.info.history.map(({ valLoss }) => valLoss)],
      );
    }
  });
}
