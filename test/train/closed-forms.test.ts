import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { HeadError, UsageError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { fitLda, type LdaFit } from '../../src/train/closed/lda.js';
import { matrix, Products } from '../../src/train/closed/products.js';
import { fitRidge, type RidgeFit } from '../../src/train/closed/ridge.js';
import { gathered, Rows } from '../../src/train/closed/rows.js';
import type { HeadOptions } from '../../src/train/options.js';
import { outputsOf, trainHead, trainHeads } from '../../src/train/train.js';
import { allRows, memoryVectors, type VectorSource } from '../../src/train/vectors.js';
import { fixture } from '../helpers/fixtures.js';

interface Solution {
  readonly kernel: number[];
  readonly bias: number[];
}
interface Case {
  readonly n: number;
  readonly d: number;
  readonly classes: number;
  readonly x: number[];
  readonly y: number[];
  readonly numbers: number[];
  readonly lda: (Solution & { readonly shrinkage: 'auto' | number })[];
  readonly balanced: (Solution & { readonly shrinkage: 'auto' | number })[];
  readonly standard: Solution & { readonly shrinkage: number };
  readonly ridge: Readonly<
    Record<'numbers' | 'signs' | 'balanced', Solution & { readonly alpha: number; readonly errors: number[] }>
  >;
}
const made = JSON.parse(readFileSync(fixture('closed_form_fixtures.json'), 'utf8')) as {
  readonly alphas: number[];
  readonly cases: Case[];
};

const products = new Products(1);
after(() => products.release());

const rowsOf = (x: Float32Array, d: number): Rows =>
  new Rows(memoryVectors(x, d), allRows(x.length / d), { normalize: false, standardization: null });

/** Largest difference over the largest of what is expected. */
function apart(found: ArrayLike<number>, expected: readonly number[]): number {
  assert.equal(found.length, expected.length);
  const most = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((one, i) => Math.abs(one - (found[i] as number)))) / most;
}

async function ridgeOf(
  x: Float32Array,
  d: number,
  y: number[],
  alphas: number[],
  options: { weights?: Float64Array; groups?: Uint32Array } = {},
) {
  const n = x.length / d;
  const groups = gathered(options.groups ?? null, n);
  const problem = { rows: rowsOf(x, d), y: matrix(n, y.length / n, Float64Array.from(y)), groups };
  const [fit] = await fitRidge(products, { ...problem, weights: options.weights ?? null }, [alphas], groups);
  return fit as RidgeFit;
}

async function ldaOf(
  x: Float32Array,
  d: number,
  y: readonly number[],
  shrinkage: 'auto' | 'trace' | 'loo' | number,
  {
    weights = null,
    groups = null,
    classes = Math.max(...y) + 1,
  }: { weights?: Float64Array | null; groups?: Uint32Array | null; classes?: number } = {},
): Promise<LdaFit> {
  const together = gathered(groups, y.length);
  const problem = { rows: rowsOf(x, d), y: Uint32Array.from(y), classes, weights, groups: together, sample: together };
  const [fit] = await fitLda(products, problem, [shrinkage]);
  return fit as LdaFit;
}

for (const [i, one] of made.cases.entries()) {
  const { n, d, classes, y } = one;
  const x = Float32Array.from(one.x);
  const balanced = Float64Array.from({ length: classes }, (_, k) => n / (classes * y.filter((c) => c === k).length));
  test(`case ${i}, ${n} x ${d}, ${classes} classes: lda is scikit-learn's`, async () => {
    for (const { shrinkage, kernel, bias } of one.lda) {
      const fit = await ldaOf(x, d, y, shrinkage);
      assert.ok(apart(fit.kernel.values, kernel) < 1e-10, `${shrinkage}: ${apart(fit.kernel.values, kernel)}`);
      assert.ok(apart(fit.bias, bias) < 1e-10, `${shrinkage}: bias ${apart(fit.bias, bias)}`);
    }
    for (const { shrinkage, kernel, bias } of one.balanced) {
      const fit = await ldaOf(x, d, y, shrinkage, { weights: balanced });
      assert.ok(apart(fit.kernel.values, kernel) < 1e-10, `balanced ${shrinkage}`);
      assert.ok(apart(fit.bias, bias) < 1e-10, `balanced ${shrinkage}: bias`);
    }
  });

  test(`case ${i}: ridge is scikit-learn's RidgeCV, penalty and errors included`, async () => {
    const signs =
      classes === 2
        ? y.map((c) => 2 * c - 1)
        : y.flatMap((c) => Array.from({ length: classes }, (_, k) => (c === k ? 1 : -1)));
    const weights = Float64Array.from(y, (c) => balanced[c] as number);
    for (const [name, targets, given] of [
      ['numbers', one.numbers, {}],
      ['signs', signs, {}],
      ['balanced', signs, { weights }],
    ] as const) {
      const { alpha, errors, kernel, bias } = one.ridge[name];
      const fit = await ridgeOf(x, d, [...targets], made.alphas, given);
      assert.equal(fit.alpha, alpha, name);
      assert.ok(apart(fit.errors, errors) < 1e-8, `${name}: errors`);
      assert.ok(apart(fit.kernel.values, kernel) < 1e-9, `${name}: ${apart(fit.kernel.values, kernel)}`);
      assert.ok(apart(fit.bias, bias) < 1e-9, `${name}: bias`);
    }
  });

  test(`case ${i}: standardised features, as a saved head has them`, async () => {
    const { shrinkage, kernel, bias } = one.standard;
    const rest = x.filter((_, at) => at % d !== 2);
    const names = Array.from({ length: classes }, (_, k) => `class ${k}`);
    const task = classes === 2 ? ('binary' as const) : ('multiclass' as const);
    const data = { task, classes: names, vectors: memoryVectors(rest, d - 1), y: Int32Array.from(y) };
    const { net, standardization } = await trainHead(data, null, { optimizer: 'lda', shrinkage, scale: 'standard' });
    const [layer] = net.layers;
    const scale = standardization?.scale ?? [];
    // What all classes share is left out of the saved weights.
    const means = Array.from({ length: d - 1 }, (_, j) =>
      classes === 2 ? 0 : kernel.reduce((sum, w, at) => sum + (at % (d - 1) === j ? w / classes : 0), 0),
    );
    const found = Array.from(layer?.kernel ?? [], (w, at) => w * (scale[at % (d - 1)] as number));
    assert.ok(
      apart(
        found,
        kernel.map((w, at) => w - (means[at % (d - 1)] as number)),
      ) < 1e-5,
    );
    assert.equal(layer?.bias.length, bias.length);
  });
}

/** Vectors of two or three classes, some of which come as several views of one image, which are near each other. */
function views(
  seed: string,
  { images, most, d, classes }: { images: number; most: number; d: number; classes: number },
) {
  const random = new Random(seed);
  const x: number[] = [];
  const y: number[] = [];
  const groups: number[] = [];
  for (let image = 0; image < images; image++) {
    const k = image % classes;
    const own = Array.from({ length: d }, (_, j) => random.normal((j + k) % classes, 1));
    for (let view = 0; view < 1 + (image % most); view++) {
      x.push(...own.map((one) => one + random.normal(0, 0.1)));
      y.push(k);
      groups.push(image);
    }
  }
  // Views of one image lie apart.
  const order = random.permutation(y.length);
  return {
    x: Float32Array.from([...order].flatMap((i) => x.slice(i * d, (i + 1) * d))),
    y: [...order].map((i) => y[i] as number),
    groups: Uint32Array.from([...order].map((i) => groups[i] as number)),
  };
}

const without = (x: Float32Array, d: number, places: ReadonlySet<number>): Float32Array =>
  x.filter((_, at) => !places.has(Math.floor(at / d)));

for (const [images, d] of [
  [100, 70],
  [70, 200],
] as const) {
  test(`ridge, about ${2 * images} rows of ${d} features: one penalty is factored to what several are decomposed to`, async () => {
    const { x, y, groups } = views('one', { images, most: 3, d, classes: 3 });
    const targets = y.flatMap((k, i) => [k === 0 ? 1 : -1, k + (i % 5) / 10]);
    for (const given of [{ groups }, {}]) {
      const one = await ridgeOf(x, d, targets, [3], given);
      const several = await ridgeOf(x, d, targets, [3, 1e9], given);
      assert.equal(several.alpha, 3);
      assert.ok(apart(one.errors, [several.errors[0] as number]) < 1e-10);
      assert.ok(apart(one.kernel.values, [...several.kernel.values]) < 1e-10);
      assert.ok(apart(one.leftOut.scores, [...several.leftOut.scores]) < 1e-10);
      assert.deepEqual(one.leftOut.places, several.leftOut.places);
    }
  });
}

for (const d of [4, 60]) {
  test(`ridge, ${d} features: what is left out with its group is what a fit without the group gives`, async () => {
    const { x, y, groups } = views('ridge', { images: 18, most: 3, d, classes: 3 });
    const n = y.length;
    const targets = y.flatMap((k, i) => [k === 0 ? 1 : -1, k + (i % 5) / 10]);
    const weights = Float64Array.from(y, (k) => 1 + k / 2);
    const alphas = [0.01, 1, 100];
    const fit = await ridgeOf(x, d, targets, alphas, { groups, weights });
    const errors = alphas.map(() => 0);
    for (const places of gathered(groups, n)) {
      const out = new Set(places);
      const kept = [...y.keys()].filter((i) => !out.has(i));
      for (const [a, alpha] of alphas.entries()) {
        const rest = await ridgeOf(
          without(x, d, out),
          d,
          kept.flatMap((i) => targets.slice(2 * i, 2 * i + 2)),
          [alpha],
          { weights: Float64Array.from(kept, (i) => weights[i] as number) },
        );
        for (const place of places) {
          for (let c = 0; c < 2; c++) {
            let given = rest.bias[c] as number;
            for (let j = 0; j < d; j++)
              given += (rest.kernel.values[c * d + j] as number) * (x[place * d + j] as number);
            errors[a] =
              (errors[a] as number) +
              ((weights[place] as number) * ((targets[2 * place + c] as number) - given) ** 2) / (2 * n);
            if (alpha !== fit.alpha) continue;
            const told = fit.leftOut.scores[2 * fit.leftOut.places.indexOf(place) + c] as number;
            assert.ok(Math.abs(told - given) < 1e-8, `row ${place}: ${told}, ${given}`);
          }
        }
      }
    }
    assert.ok(apart(fit.errors, errors) < 1e-7, `${[...fit.errors]}, ${errors}`);
    assert.equal(fit.alpha, alphas[errors.indexOf(Math.min(...errors))]);
    const alone = await ridgeOf(x, d, targets, alphas, { weights });
    assert.ok(
      (alone.errors[0] as number) < 0.9 * (fit.errors[0] as number),
      'views that stay behind make it look better',
    );
  });
}

for (const [images, d] of [
  [16, 4],
  [16, 60],
  [60, 80],
] as const) {
  test(`lda, ${d} features: what is left out with its group is what a fit without the group gives`, async () => {
    const { x, y, groups } = views('lda', { images, most: 3, d, classes: 2 });
    const whole = await ldaOf(x, d, y, 'trace', { groups });
    const n = y.length;
    // Without the group the penalty stays as it was: the share of the rest that comes to the same.
    const penalty = traceOf(x, d, y) / (n - 1);
    for (const places of gathered(groups, n)) {
      const out = new Set(places);
      const kept = y.filter((_, i) => !out.has(i));
      const rest = without(x, d, out);
      const ratio = (penalty * d) / traceOf(rest, d, kept);
      const { kernel, bias } = await ldaOf(rest, d, kept, ratio / (1 + ratio));
      // Its inverse covariance is n' (1 + ratio) (W' + penalty I)⁻¹, that of `trace` d (W + penalty I)⁻¹.
      const scale = d / (kept.length * (1 + ratio));
      const prior = Math.log(kept.filter((k) => k === 1).length / kept.filter((k) => k === 0).length);
      for (const place of places) {
        let given = (bias[0] as number) - prior;
        for (let j = 0; j < d; j++) given += (kernel.values[j] as number) * (x[place * d + j] as number);
        const at = whole.leftOut?.places.indexOf(place) ?? -1;
        const told = whole.leftOut?.scores[at] as number;
        const expected = scale * given + prior;
        assert.ok(Math.abs(told - expected) < 1e-8 * Math.abs(expected) + 1e-8, `row ${place}: ${told}, ${expected}`);
      }
    }
  });
}

/** Squares of rows less the means of their classes, summed. */
function traceOf(x: Float32Array, d: number, y: readonly number[]): number {
  let sum = 0;
  for (const k of new Set(y)) {
    const rows = [...y.keys()].filter((i) => y[i] === k);
    for (let j = 0; j < d; j++) {
      const mean = rows.reduce((all, i) => all + (x[i * d + j] as number), 0) / rows.length;
      for (const i of rows) sum += ((x[i * d + j] as number) - mean) ** 2;
    }
  }
  return sum;
}

test('trace is d ((n - 1) S + tr(S) I)⁻¹, S being the covariance of vectors less the means of their classes', async () => {
  const { x, y } = views('trace', { images: 40, most: 1, d: 5, classes: 2 });
  const n = y.length;
  const trace = traceOf(x, 5, y);
  const { kernel, shrinkage } = await ldaOf(x, 5, y, 'trace');
  // A share s takes n (1 - s)⁻¹ (W + s / (1 - s) tr(W) / d I)⁻¹.
  const share = 5 / (n - 1) / (1 + 5 / (n - 1));
  const same = await ldaOf(x, 5, y, share);
  const factor = 5 / (n / (1 - share));
  assert.ok(trace > 0 && Math.abs((shrinkage ?? 0) - share) < 1e-12);
  assert.ok(apart(kernel.values, [...same.kernel.values.map((w) => w * factor)]) < 1e-10);
});

/** Gives vectors a few rows at a time, as a set does that does not fit into memory. */
function streamed(x: Float32Array, d: number): VectorSource {
  return {
    n: x.length / d,
    d,
    async *blocks(rows) {
      for (let from = 0; from < rows.length; from += 7) {
        const part = rows.subarray(from, from + 7);
        const own = Float32Array.from([...part].flatMap((row) => [...x.subarray(row * d, (row + 1) * d)]));
        yield { x: own, at: allRows(part.length), rows: part };
      }
    },
  };
}

const { x: many, y: kinds, groups: families } = views('heads', { images: 60, most: 2, d: 12, classes: 3 });
const three = { task: 'multiclass', classes: ['a', 'b', 'c'], y: Int32Array.from(kinds), groups: families } as const;
const asked: HeadOptions[] = [
  { optimizer: 'lda' },
  { optimizer: 'lda', shrinkage: 'loo' },
  { optimizer: 'ridge' },
  { optimizer: 'ridge', alphas: [3] },
  { optimizer: 'ridge', alphas: [3], scale: 'l2' },
  { optimizer: 'adam', epochs: 2 },
  { optimizer: 'lbfgs', l2: 0.01 },
];

test('in the company of others and from a stream, each head is what it is alone', async () => {
  const vectors = memoryVectors(many, 12);
  const together = await trainHeads({ ...three, vectors: streamed(many, 12) }, null, asked.slice(0, 5));
  const mixed = await trainHeads({ ...three, vectors }, null, asked);
  for (const [i, options] of asked.entries()) {
    const alone = await outputsOf(await trainHead({ ...three, vectors }, null, options), vectors);
    for (const other of [mixed[i], together[i]]) {
      if (other === undefined) continue;
      assert.ok(!(other instanceof Error));
      const said = await outputsOf(other, vectors);
      assert.ok(apart(said, [...alone]) < 1e-6, `${i}`);
    }
  }
});

test('probabilities of lda and ridge are near what comes true, also of few images', async () => {
  for (const [images, d] of [
    [12, 80],
    [60, 12],
  ] as const) {
    const train = views('few', { images, most: 1, d, classes: 3 });
    const fresh = views('fresh', { images: 300, most: 1, d, classes: 3 });
    for (const options of [
      { optimizer: 'lda' },
      { optimizer: 'lda', shrinkage: 'loo' },
      { optimizer: 'ridge' },
    ] as const) {
      const data = { ...three, groups: train.groups, vectors: memoryVectors(train.x, d), y: Int32Array.from(train.y) };
      const val = { vectors: memoryVectors(fresh.x, d), y: Int32Array.from(fresh.y) };
      const { history } = await trainHead(data, val, options);
      const { valLoss, valAccuracy } = history[0] ?? {};
      const chance = Math.log(3);
      assert.ok((valLoss ?? 9) < chance, `${JSON.stringify(options)} ${images}: loss ${valLoss}, right ${valAccuracy}`);
    }
  }
});

test('of many classes of three images each, told apart, probabilities are sure', async () => {
  const [classes, d] = [40, 60];
  const [train, fresh] = ['many', 'new'].map((seed) => views(seed, { images: 3 * classes, most: 1, d, classes }));
  const side = ({ x, y }: ReturnType<typeof views>) => ({ vectors: memoryVectors(x, d), y: Int32Array.from(y) });
  const names = Array.from({ length: classes }, (_, k) => `class ${k}`);
  const data = { task: 'multiclass', classes: names, ...side(train as never) } as const;
  const { history } = await trainHead(data, side(fresh as never), { optimizer: 'lda' });
  assert.ok((history[0]?.valAccuracy ?? 0) > 0.95 && (history[0]?.valLoss ?? 9) < 0.5, `${history[0]?.valLoss}`);
});

test('what cannot be solved is said', async () => {
  const one = {
    task: 'binary',
    classes: ['a', 'b'],
    vectors: memoryVectors(Float32Array.of(1, 2, 3, 5), 2),
    y: Int32Array.of(0, 1),
  } as const;
  await assert.rejects(
    trainHead(one, null, { optimizer: 'lda' }),
    (error) => error instanceof HeadError && /two images that differ/.test(error.message),
  );
  const few = memoryVectors(
    Float32Array.from({ length: 12 }, (_, i) => (i * 7) % 5),
    4,
  );
  const singular = { ...one, vectors: few, y: Int32Array.of(0, 1, 1) };
  await assert.rejects(
    trainHead(singular, null, { optimizer: 'lda', shrinkage: 0 }),
    /singular: give a larger --shrinkage/,
  );
  await assert.rejects(
    trainHead({ ...singular, groups: new Uint32Array(3) }, null, { optimizer: 'ridge' }),
    /all training images are of the same group: give another --group-column/,
  );
  const numbers = { task: 'regression', classes: [], vectors: few, y: Float32Array.of(1, 2, 3) } as const;
  for (const options of [
    { optimizer: 'lda' },
    { optimizer: 'lda', hidden: [3] },
    { optimizer: 'ridge', l1: 1 },
    { optimizer: 'ridge', dropout: 0.5 },
    { optimizer: 'ridge', alphas: [] },
    { optimizer: 'ridge', alphas: [0] },
    { optimizer: 'lda', shrinkage: 1.5 },
  ] as HeadOptions[]) {
    await assert.rejects(trainHead(numbers, null, options), UsageError, JSON.stringify(options));
  }
});
