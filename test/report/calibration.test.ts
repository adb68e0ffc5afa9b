import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadInfo } from '../../src/heads/head-info.js';
import { type Answers, metricsOf } from '../../src/heads/judge.js';
import { Random } from '../../src/random.js';
import type { HeadReport, OnData } from '../../src/report/model.js';
import { scoreFigures } from '../../src/report/page/curves.js';

const N = 400;

/** Scores of a head that is too sure of its second class. */
function answers(task: Answers['task'], classes: number): Answers {
  const random = new Random(`${task} ${classes}`);
  const scores = Float32Array.from({ length: N * classes }, () => 0.05 + random.below(900) / 1000);
  const isSo = (p: number): number => Number(random.below(1000) < 1000 * p ** 2);
  if (task === 'multilabel') return { task, classes, scores, y: Uint8Array.from(scores, isSo) };
  for (let row = 0; row < N; row++) {
    const some = scores.subarray(row * classes, (row + 1) * classes);
    const sum = some.reduce((all, one) => all + one, 0);
    for (const [k, one] of some.entries()) some[k] = one / sum;
  }
  return {
    task,
    classes,
    scores,
    y: Int32Array.from({ length: N }, (_, row) => isSo(scores[row * classes + 1] as number)),
  };
}

for (const [task, classes] of [
  ['binary', 2],
  ['multiclass', 2],
  ['multiclass', 3],
  ['multilabel', 3],
] as const) {
  test(`the bins of the calibration chart give the error that is told beside it: ${task}, ${classes} classes`, () => {
    const given = answers(task, classes);
    const thresholds = task === 'multilabel' ? [0.5, 0.5, 0.5] : [0.5];
    const threshold = task === 'multiclass' ? null : ({ criterion: 'fixed', values: thresholds } as const);
    const metrics = metricsOf(given, threshold, { resamples: 0, seed: 1 });
    const info = { threshold, classes: ['a', 'b', 'c'].slice(0, classes) } as unknown as HeadInfo;
    const figures = scoreFigures({ info } as HeadReport, { answers: given, metrics } as OnData);
    const drawn = figures.find(({ title }) => title === 'Calibration')?.drawing.text ?? '';
    let [error, count] = [0, 0];
    for (const [, n, mean, share] of drawn.matchAll(/<title>(\d+) answers? of about ([\d.]+): ([\d.]+) were so/g)) {
      error += Number(n) * Math.abs(Number(mean) - Number(share));
      count += Number(n);
    }
    assert.equal(count, task === 'multilabel' ? N * classes : N);
    assert.ok(metrics !== null && 'calibrationError' in metrics);
    assert.ok(Math.abs(error / count - (metrics.calibrationError ?? 0)) < 1e-3, `${error / count}`);
  });
}
