import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fitFullBatch } from '../../src/train/full-batch.js';
import { lbfgs } from '../../src/train/lbfgs.js';
import { fitStandardization } from '../../src/train/standardize.js';
import { allRows, memoryVectors } from '../../src/train/vectors.js';

interface Fit {
  l2: number;
  balanced: boolean;
  loss: number;
  kernel: number[];
  bias: number[];
}
interface Fixture {
  classification: { classes: number; n: number; d: number; x: number[]; y: number[]; fits: Fit[] }[];
  regression: {
    n: number;
    d: number;
    l2: number;
    x: number[];
    y: number[];
    loss: number;
    kernel: number[];
    bias: number[];
  };
}
const fixture = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/lbfgs_fixtures.json', import.meta.url), 'utf8'),
) as Fixture;

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  assert.equal(a.length, b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] as number))));
};
const exact = { tolerance: 1e-9, maxIterations: 10_000 };

/** `n / (classes * count)`, as scikit-learn balances. */
function balance(y: readonly number[], classes: number): Float64Array {
  const counts = Array.from({ length: classes }, (_, k) => y.filter((label) => label === k).length);
  return Float64Array.from(y, (label) => y.length / (classes * (counts[label] as number)));
}

describe('full-batch L-BFGS in float64', async () => {
  for (const { classes, n, d, x: values, y, fits } of fixture.classification) {
    const x = Float32Array.from(values);
    const standardization = await fitStandardization(memoryVectors(x, d), allRows(n));
    const units = classes === 2 ? 1 : classes;
    const ending = classes === 2 ? 'sigmoid' : 'softmax';
    const targets = classes === 2 ? Float32Array.from(y) : Int32Array.from(y);

    test(`${classes} classes: losses to 1e-6 and coefficients to 1e-3 of scikit-learn's, all penalties in one go`, async () => {
      const heads = fits.map(({ l2, balanced }) => ({
        l2,
        weights: balanced ? balance(y, classes) : null,
        standardization,
        ...exact,
      }));
      const fitted = await fitFullBatch({ d, units, ending }, x, targets, heads);
      for (const [i, { l2, balanced, loss, kernel, bias }] of fits.entries()) {
        const head = fitted[i];
        assert.ok(head?.converged);
        const which = `l2 ${l2}${balanced ? ', balanced' : ''}`;
        assert.ok(Math.abs(head.value - loss) <= 1e-6, `${which}: loss ${head.value}, scikit-learn ${loss}`);
        assert.ok(furthest(head.kernel, kernel) <= 1e-3, `${which}: kernel off by ${furthest(head.kernel, kernel)}`);
        assert.ok(furthest(head.bias, bias) <= 1e-3, `${which}: bias off by ${furthest(head.bias, bias)}`);
      }
    });

    test(`${classes} classes: a head comes out the same alone and among others`, async () => {
      const heads = fits.slice(0, 5).map(({ l2 }) => ({ l2, standardization, ...exact }));
      const together = await fitFullBatch({ d, units, ending }, x, targets, heads);
      const [alone] = await fitFullBatch({ d, units, ending }, x, targets, heads.slice(3, 4));
      assert.ok(furthest(alone?.kernel ?? [], together[3]?.kernel ?? []) <= 1e-6);
    });
  }

  test('regression: scikit-learn’s ridge', async () => {
    const { n, d, l2, x: values, y, loss, kernel, bias } = fixture.regression;
    const x = Float32Array.from(values);
    const head = { l2, standardization: await fitStandardization(memoryVectors(x, d), allRows(n)), ...exact };
    const [fit] = await fitFullBatch({ d, units: 1, ending: 'linear' }, x, Float32Array.from(y), [head]);
    assert.ok(fit);
    assert.ok(Math.abs(fit.value - loss) <= 1e-6);
    assert.ok(furthest(fit.kernel, kernel) <= 1e-5);
    assert.ok(furthest(fit.bias, bias) <= 1e-5);
  });

  test('label smoothing: the gradient vanishes where the loss is lowest', async () => {
    const [{ n, d, x: values, y } = assert.fail()] = fixture.classification;
    const x = Float32Array.from(values);
    const head = {
      l2: 1e-3,
      smoothing: 0.2,
      standardization: await fitStandardization(memoryVectors(x, d), allRows(n)),
      ...exact,
    };
    const [smooth] = await fitFullBatch({ d, units: 1, ending: 'sigmoid' }, x, Float32Array.from(y), [head]);
    const soft = Float32Array.from(y, (label) => label * 0.8 + 0.1);
    const [same] = await fitFullBatch({ d, units: 1, ending: 'sigmoid' }, x, soft, [{ ...head, smoothing: 0 }]);
    assert.ok(furthest(smooth?.kernel ?? [], same?.kernel ?? []) <= 1e-5);
  });

  test('a signal ends it, with its reason', async () => {
    const [{ d, x, y } = assert.fail()] = fixture.classification;
    const reason = new Error('enough');
    const fit = fitFullBatch(
      { d, units: 1, ending: 'sigmoid' },
      Float32Array.from(x),
      Float32Array.from(y),
      [{ l2: 1e-3, ...exact }],
      { signal: AbortSignal.abort(reason) },
    );
    await assert.rejects(fit, reason);
  });

  test('the minimiser finds the end of Rosenbrock’s valley, and leaves where nothing is finite', () => {
    const minimise = (f: (x: Float64Array) => { value: number; gradient: Float64Array }, start: number[]) => {
      const steps = lbfgs(Float64Array.from(start), { tolerance: 1e-10, maxIterations: 200 });
      let next = steps.next();
      while (!next.done) next = steps.next(f(next.value.point));
      return next.value;
    };
    const valley = minimise(
      ([x = 0, y = 0]) => ({
        value: (1 - x) ** 2 + 100 * (y - x * x) ** 2,
        gradient: Float64Array.of(-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)),
      }),
      [-1.2, 1],
    );
    assert.ok(valley.converged && valley.iterations < 60, `${valley.iterations} iterations`);
    assert.ok(furthest(valley.point, [1, 1]) <= 1e-8);
    const nowhere = minimise(() => ({ value: Number.NaN, gradient: Float64Array.of(Number.NaN) }), [1]);
    assert.equal(nowhere.converged, false);
  });
});
