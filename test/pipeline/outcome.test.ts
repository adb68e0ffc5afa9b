import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from '../../pipeline/arguments.js';
import { confused, eachClass, reportLine, trainReport } from '../../pipeline/outcome.js';
import type { TrainResult } from '../../src/index.js';
import { measureClasses, measureValues } from '../../src/metrics/metrics.js';

const RESULT: TrainResult = {
  head: 'h',
  dir: '/h',
  reused: false,
  replaced: null,
  task: 'binary',
  classes: ['ants', 'bees'],
  train: 10,
  val: 3,
  test: 0,
  shots: null,
  refit: false,
  metrics: measureClasses(Float32Array.of(0.9, 0.1, 0.2, 0.8, 0.1, 0.9), [0, 1, 1], 2, 0.5, { resamples: 10 }),
  testMetrics: null,
  majority: 1 / 3,
  commonest: 'ants',
  meanAnswer: null,
  threshold: { criterion: 'youden', values: [0.5] },
  temperature: null,
  coverage: null,
  folds: null,
  chosen: ['epoch', 'threshold'],
  end: 'patience',
  bestEpoch: 20,
  closedForm: null,
  mistakes: null,
  epochs: 30,
  seconds: 1,
};
const report = (changes: Partial<TrainResult>): string => trainReport({ ...RESULT, ...changes }).join('\n');

test('accuracy of three images stands beside what it is worth, and what the commonest class of training gets', () => {
  assert.match(
    report({}),
    /validation: accuracy 100\.0 % \[43\.9, 100\.0\] \(always ants, the commonest in training: 33\.3 %\), AUC 1\.000, log loss 0\.145$/m,
  );
});

test('what validation chose is said, and only that', () => {
  const chose = (chosen: TrainResult['chosen'], more: Partial<TrainResult> = {}) =>
    /^these images also chose (.*), so expect a little less on new ones$/m.exec(report({ chosen, ...more }))?.[1];
  assert.equal(chose(['epoch', 'threshold']), 'the epoch and the threshold');
  assert.equal(
    chose(['options', 'epoch', 'threshold', 'temperature']),
    'the options, the epoch, the threshold and the temperature',
  );
  assert.equal(chose(['threshold']), 'the threshold');
  assert.equal(chose([]), undefined);
  assert.equal(chose(null), undefined);
  assert.equal(chose(['epoch'], { testMetrics: RESULT.metrics, test: 3 }), undefined);
});

test('a loss that was still falling says what to give', () => {
  assert.doesNotMatch(report({}), /not converged/);
  assert.doesNotMatch(report({ end: 'epochs', val: 0 }), /not converged/);
  assert.match(
    report({ end: 'epochs', bestEpoch: 30 }),
    /not converged: the loss was still falling at epoch 30, the last: give more --epochs, or a higher --learning-rate/,
  );
  const fold = { train: 8, val: 2, bestEpoch: 30, metrics: RESULT.metrics as NonNullable<TrainResult['metrics']> };
  const folds = [{ ...fold, epochs: 30 }, { ...fold, epochs: 34 }, fold];
  assert.match(report({ end: 'epochs', folds }), /still falling at the last epoch of 1 of 3 parts: give more --epochs/);
  assert.doesNotMatch(report({ end: 'epochs', folds: folds.slice(1) }), /not converged/);
  assert.match(
    report({ end: 'epochs', chosen: [] }),
    /lbfgs was still descending: give more --epochs, or a larger --l2/,
  );
});

test('what rose on validation is overfitting where training fell, and else too fast', () => {
  const ended = (losses: readonly (readonly [number, number])[], bestEpoch: number): string => {
    const history = losses.map(([loss, valLoss], i) => ({ epoch: i + 1, loss, valLoss, valAccuracy: 0.5 }));
    const result: TrainResult = { ...RESULT, end: 'epochs', bestEpoch, epochs: losses.length };
    return trainReport(result, history)
      .filter((line) => /^(not converged|overfitting|diverging)/.test(line))
      .join();
  };
  const over = [
    [0.7, 0.6],
    [0.5, 0.4],
    [0.3, 0.45],
    [0.1, 0.55],
  ] as const;
  assert.equal(
    ended(over, 2),
    'overfitting: after epoch 2, which counts, the validation loss rose from 0.400 to 0.550 while the training loss fell from 0.500 to 0.100: give a larger --l2, or more images',
  );
  assert.equal(
    ended([...over.slice(0, 3), [0.9, 2]], 2),
    'diverging: after epoch 2, which counts, the validation loss rose from 0.400 to 2.00, and the training loss did not fall: give a lower --learning-rate',
  );
  // It stood still.
  assert.equal(ended([...over.slice(0, 2), [0.4, 0.403]], 2), '');
  assert.match(ended(over.slice(0, 2), 2), /^not converged: the loss was still falling at epoch 2, the last/);
});

test('a regression says what its mean alone gets, and when it is worse', () => {
  const task = { task: 'regression' as const, classes: [], majority: null, commonest: null, threshold: null };
  const meanAnswer = { mean: 40.123, mae: 9.8765, rmse: 12 };
  const good = measureValues(Float32Array.of(1, 2, 3.5), [1, 2, 3]);
  assert.match(
    report({ ...task, metrics: good, meanAnswer }),
    /R² 0\.875, mean error 0\.1667 \(always 40\.12, the mean: 9\.877\)/,
  );
  const bad = measureValues(Float32Array.of(100_000, 0, 0), [1, 2, 3]);
  assert.match(report({ ...task, metrics: bad, meanAnswer }), /R² below 0 is worse than always the mean: give --l2/);
  const closedForm = { alpha: 1, shrinkage: null, slopes: [1], offsets: [0] };
  assert.match(report({ ...task, metrics: bad, meanAnswer, closedForm }), /always the mean: give more images, or/);
});

test('sets say from which probability on, when there are too few images, and of which classes nothing is known', () => {
  const coverage = { level: 0.9, threshold: 0.75, images: 12 };
  assert.match(report({ coverage }), /^sets at 90\.0 % hold the classes of a probability from 0\.250 on, by 12 valid/m);
  assert.match(
    report({ coverage: { ...coverage, threshold: 1 } }),
    /from 0\.000 on/,
    'a class that was given no probability at all',
  );
  assert.match(
    report({ coverage: { ...coverage, threshold: 1, images: 8 } }),
    /^sets at 90\.0 % hold every class: that takes 9 validation images or more, there are 8$/m,
  );
  assert.doesNotMatch(report({ coverage }), /none of these/);
  const metrics = measureClasses(Float32Array.of(0.9, 0.1, 0.8, 0.2), [0, 0], 2);
  assert.match(report({ coverage, metrics }), /^none of these is of bees: how often sets hold that is not known$/m);
});

test('a class of which nothing is recognised; of many classes the worst and the most confused', () => {
  const classes = Array.from({ length: 14 }, (_, k) => `c${k}`);
  const y = classes.flatMap((_, k) => [k, k]);
  const said = y.map((k, i) => (k === 3 ? 4 : k === 5 && i % 2 === 0 ? 6 : k));
  const scores = Float32Array.from(said.flatMap((k) => classes.map((_, j) => (j === k ? 0.9 : 0.1 / 13))));
  const text = report({ task: 'multiclass', classes, threshold: null, metrics: measureClasses(scores, y, 14) });
  assert.match(text, /lowest recall: c3 0\.0 % of 2, c5 50\.0 % of 2$/m);
  assert.match(text, /most confused: c3 taken for c4 2 times, c5 taken for c6 1 time$/m);
  const metrics = measureClasses(scores, y, 14, 0.5, { resamples: 20, seed: 0 });
  const table = eachClass(classes, metrics).join('\n');
  assert.match(
    table,
    /^ {2}class +images +recall +precision +F1\n {2}c3 +2 +0\.0 % \[0\.0, 65\.8\] +0\.0 % +0\.000\n {2}c[456] /,
  );
  assert.match(table, /\n {2}and 2 classes more$/);
  assert.deepEqual(confused(classes, metrics).length, 1, 'which is taken for which; the table has the rest');
  assert.match(text, /never recognised: c3 \(0 of 2\): give --class-weight balanced, or more images of them/);
});

test('the command that is named for the report reads the labels as the one before did', () => {
  const evaluated =
    'evaluate pictures --head h --labels l.csv --label-column probs --missing skip --cache c --threads 2';
  const { read } = parse([...evaluated.split(' '), '--label-separator', ';']);
  const line = reportLine('h', 'pictures', read());
  const [, ...words] = line.split(' ');
  assert.equal(
    line,
    "permafrost report h --data pictures --labels l.csv --label-column probs --label-separator ';' --missing skip --cache c",
  );
  assert.equal(parse(words).read().values.labelColumn, 'probs');
});
