import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { atOnce } from '../../src/breathe.js';
import { bootstrap } from '../../src/metrics/bootstrap.js';
import { classificationInSteps } from '../../src/metrics/classification.js';
import { type Metrics, measureClasses, measureLabels, measureValues } from '../../src/metrics/metrics.js';
import { fallingOrder, rank } from '../../src/metrics/ranking.js';
import { Samples } from '../../src/metrics/samples.js';
import { fitTemperature } from '../../src/metrics/temperature.js';
import { chooseThreshold } from '../../src/metrics/threshold.js';
import { Random } from '../../src/random.js';

type Values = Record<string, number | null>;
interface Case {
  y: number[];
  exact: Values;
  intervals: Record<string, [number, number] | null>;
}
const fixture = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/metric_fixtures.json', import.meta.url), 'utf8'),
) as {
  resamples: number;
  seed: number;
  classification: (Case & {
    classes: number;
    threshold: number;
    probabilities: number[];
    logits: number[];
    temperature: number;
    confusion: number[][];
  })[];
  multilabel: (Case & { thresholds: number[]; probabilities: number[]; support: number[] })[];
  regression: (Case & { values: number[] })[];
};
const { resamples, seed } = fixture;

/** Every number of the metrics by the fixture's name. */
function valuesOf(metrics: Metrics): Values {
  const { intervals: _, ...rest } = metrics;
  const classes = 'classes' in metrics ? metrics.classes : [];
  return Object.fromEntries([
    ...Object.entries(rest).filter(([, value]) => typeof value === 'number' || value === null),
    ...classes.flatMap(({ support: _, ...one }, k) =>
      Object.entries(one).map(([name, value]) => [`${k}.${name}`, value]),
    ),
  ]);
}

/** Against scikit-learn, to 1e-9. */
function assertSame(metrics: Metrics, expected: Case): void {
  const values = valuesOf(metrics);
  assert.deepEqual(Object.keys(values).sort(), Object.keys(expected.exact).sort());
  for (const [name, value] of Object.entries(expected.exact)) {
    const found = values[name] ?? null;
    assert.ok(
      value === null ? found === null : Math.abs((found ?? Number.NaN) - value) <= 1e-9,
      `${name}: ${found}, scikit-learn ${value}`,
    );
    const ends = metrics.intervals?.of[name] ?? null;
    // Resampling moves the calibration error itself: none is given.
    const wanted = name === 'calibrationError' ? null : (expected.intervals[name] ?? null);
    for (const end of [0, 1] as const) {
      assert.ok(
        wanted === null ? ends === null : Math.abs((ends?.[end] ?? Number.NaN) - wanted[end]) <= 1e-9,
        `interval of ${name}: ${ends}, scikit-learn ${wanted}`,
      );
    }
  }
  assert.equal(metrics.intervals?.resamples, resamples);
}

for (const one of fixture.classification) {
  test(`${one.y.length} examples of ${one.classes} classes, threshold ${one.threshold}, as scikit-learn`, () => {
    const metrics = measureClasses(Float32Array.from(one.probabilities), one.y, one.classes, one.threshold, {
      resamples,
      seed,
    });
    assertSame(metrics, one);
    assert.deepEqual(metrics.confusion, one.confusion);
  });

  test(`the temperature of ${one.classes} classes is the minimum that scipy finds`, () => {
    const logits = Float32Array.from(one.logits);
    const softmax = fitTemperature(logits, one.y, one.classes, 'softmax');
    assert.ok(Math.abs(softmax - one.temperature) < 1e-5, `${softmax} ${one.temperature}`);
    if (one.classes !== 2) return;
    const margins = Float32Array.from(one.y, (_, i) => (logits[2 * i + 1] ?? 0) - (logits[2 * i] ?? 0));
    assert.ok(Math.abs(fitTemperature(margins, one.y, 1, 'sigmoid') - one.temperature) < 1e-5);
  });
}

for (const one of fixture.multilabel) {
  test(`${one.thresholds.length} labels an example, as scikit-learn`, () => {
    const probabilities = Float32Array.from(one.probabilities);
    const metrics = measureLabels(probabilities, one.y, one.thresholds, { resamples, seed });
    assertSame(metrics, one);
    assert.deepEqual(
      metrics.classes.map(({ support }) => support),
      one.support,
    );
  });
}

for (const one of fixture.regression) {
  test('a regression, as scikit-learn', () => {
    assertSame(measureValues(Float32Array.from(one.values), one.y, { resamples, seed }), one);
  });
}

test('what a sample does not define is null, not a number', () => {
  const metrics = measureClasses(Float32Array.of(0.5, 0.5, 0.2, 0.8), [1, 1], 2, 0.5, { resamples: 10 });
  assert.equal(metrics.auc, null);
  assert.equal(metrics.intervals?.of.auc, null);
  assert.equal(metrics.balancedAccuracy, 0.5);
  assert.equal(measureValues(Float32Array.of(1, 2), [3, 3]).r2, null);
  assert.equal(measureClasses(Float32Array.of(0.5, 0.5), [1], 2, 0.5, { resamples: 0 }).intervals, null);
});

test('scores are ordered whatever their sign and size, equal ones by place', () => {
  const scores = Float32Array.of(0, -0, 3e38, -1e-40, 1e-40, -5, 7, Number.NEGATIVE_INFINITY, 7);
  assert.deepEqual([...fallingOrder(scores)], [2, 6, 8, 4, 0, 1, 3, 5, 7]);
  const half = rank(Float32Array.of(5, 5, 5), (i) => i > 0);
  const samples = new Samples(3, [half]);
  samples.counts[0].fill(1);
  samples.counts[1].set([0, 0, 2]);
  assert.deepEqual(samples.areas(0), [
    { auc: 0.5, averagePrecision: 2 / 3 },
    { auc: Number.NaN, averagePrecision: 1 },
  ]);
});

test('100,000 examples get their intervals in about a second, by fewer resamples', () => {
  const random = new Random('many');
  const n = 100_000;
  const probabilities = new Float32Array(2 * n);
  const y = Uint8Array.from({ length: n }, (_, i) => {
    const p = random.uniform();
    probabilities[2 * i] = 1 - p;
    probabilities[2 * i + 1] = p;
    return random.uniform() < p ? 1 : 0;
  });
  const statistics = atOnce(classificationInSteps(probabilities, y, 2, 0.5));
  const intervals = bootstrap(statistics, { resamples: 1000 });
  assert.ok((intervals?.resamples ?? 0) >= 100 && (intervals?.resamples ?? 0) < 1000, `${intervals?.resamples}`);
  const [low, high] = intervals?.of.accuracy ?? [0, 0];
  assert.ok(low < 0.75 && 0.75 < high && high - low < 0.01, `${low} to ${high}`);
});

test('the threshold maximises its criterion, and stays at 0.5 where that is as good as any', () => {
  const isPositive = (i: number) => i >= 3;
  const scores = Float32Array.of(0.1, 0.2, 0.4, 0.3, 0.6, 0.7);
  for (const criterion of ['youden', 'f1', 'accuracy'] as const) {
    const quality = (threshold: number): number => {
      const said = Array.from(scores, (score) => score > threshold);
      const hits = said.filter((yes, i) => yes && isPositive(i)).length;
      const wrong = said.filter((yes, i) => yes && !isPositive(i)).length;
      if (criterion === 'youden') return hits / 3 - wrong / 3;
      return criterion === 'f1' ? (2 * hits) / (hits + wrong + 3) : (hits + 3 - wrong) / 6;
    };
    const best = Math.max(...Array.from({ length: 101 }, (_, i) => quality(i / 100)));
    assert.equal(quality(chooseThreshold(scores, isPositive, criterion)), best, criterion);
  }
  assert.equal(
    chooseThreshold(Float32Array.of(0.4, 0.6), (i) => i === 1, 'youden'),
    0.5,
  );
  const between = chooseThreshold(Float32Array.of(0.125, 0.25), (i) => i === 1, 'f1');
  assert.equal(between, 0.1875);
  assert.equal(
    chooseThreshold(Float32Array.of(0.1, 0.2), () => true, 'f1'),
    0.5,
    'no negatives',
  );
});

test('a temperature of separable classes stays within its bounds', () => {
  assert.equal(fitTemperature(Float32Array.of(-1, 1), [0, 1], 1, 'sigmoid'), 0.05);
  assert.equal(fitTemperature(Float32Array.of(-1, 1), [1, 0], 1, 'sigmoid'), 20);
  assert.equal(fitTemperature(new Float32Array(0), [], 1, 'sigmoid'), 1);
});
