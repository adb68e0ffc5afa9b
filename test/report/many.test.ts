import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadInfo } from '../../src/heads/head-info.js';
import { type Answers, metricsOf } from '../../src/heads/judge.js';
import type { Metrics } from '../../src/metrics/metrics.js';
import type { HeadReport, OnData } from '../../src/report/model.js';
import { ratesOf } from '../../src/report/page/confusion.js';
import { regressionFigures } from '../../src/report/page/curves.js';

/** What a page draws a head from, as far as these parts of it look. */
const told = (answers: Answers, metrics = {} as Metrics | null): [HeadReport, OnData] => {
  const info = { threshold: null, meanAnswer: null } as HeadInfo;
  return [{ info } as HeadReport, { answers, metrics } as OnData];
};

test('the errors of 200,000 images are drawn, from the least to the greatest', () => {
  const n = 200_000;
  const y = Float32Array.from({ length: n }, (_, i) => i);
  const scores = Float32Array.from(y, (value, i) => value + (i === 5 ? -3 : i === 7 ? 2 : 0));
  const answers = { task: 'regression', classes: 0, scores, y } as const;
  const figures = regressionFigures(...told(answers, metricsOf(answers, null, { resamples: 0, seed: 1 })));
  assert.equal(figures.at(-1)?.says, 'Spread of the errors, from −3 to 2.');
});

test('a page carries the rates of labels that a slider moves, and none of more labels than that', () => {
  for (const [classes, count] of [
    [60, 60],
    [61, 0],
  ] as const) {
    const scores = Float32Array.from({ length: 4 * classes }, (_, at) => (at % 10) / 10);
    const y = Uint8Array.from(scores, (_, at) => at % 2);
    assert.equal(ratesOf(...told({ task: 'multilabel', classes, scores, y })).length, count);
  }
});
