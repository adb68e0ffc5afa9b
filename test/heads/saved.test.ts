import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import ort from 'onnxruntime-node';
import { HeadError } from '../../src/errors.js';
import type { FittedHead } from '../../src/heads/fit.js';
import { HeadPredictor, loadHead, makeHead, saveHead } from '../../src/heads/index.js';
import { Random } from '../../src/random.js';
import type { DenseWeights } from '../../src/train/head-net.js';
import { HEAD_RULES } from '../../src/train/options.js';
import { quickHead } from '../helpers/saved-head.js';
import { faulty, systemError } from '../helpers/store.js';

/** Fields that came after the first heads. */
const LATER = [
  ...['joined', 'identity', 'test', 'shots', 'refit', 'testMetrics', 'temperature', 'folds'],
  ...['commonest', 'meanAnswer', 'chosen', 'end', 'examples', 'closedForm', 'coverage'],
];

const dir = mkdtempSync(join(tmpdir(), 'permafrost-heads-'));
after(() => rmSync(dir, { recursive: true }));
const origin = {
  sets: [{ fingerprint: 'ab'.repeat(32), set: { format: 1, base: { name: 'xception-mini' } } }],
  versions: { permafrost: '0.1.0' },
  identity: 'cd'.repeat(32),
};
const random = new Random('saved');
const x = Float32Array.from({ length: 60 * 5 }, () => random.normal(3, 2));

const head = (classes: number) => quickHead(x, 5, classes);
const made = (fitted: FittedHead) => makeHead(fitted, origin);
const rejects = (run: Promise<unknown>, pattern: RegExp) =>
  assert.rejects(run, (error: Error) => {
    assert.ok(error instanceof HeadError, `${error}`);
    assert.match(error.message, pattern);
    return true;
  });

for (const classes of [2, 3]) {
  test(`a saved head of ${classes} classes comes back whole and predicts what it measured`, async () => {
    const fresh = await head(classes);
    const place = join(dir, 'deep', `head${classes}`);
    await saveHead(place, made(fresh));
    assert.deepEqual(readdirSync(place).sort(), ['head.json', 'head.onnx']);
    const loaded = await loadHead(place);
    assert.deepEqual(loaded.info, made(fresh).info);
    assert.deepEqual(loaded.info.set, origin.sets[0]?.set);
    const predictor = await HeadPredictor.open(loaded);
    const probabilities = await predictor.predict(x, 60);
    assert.equal(probabilities.length, 60 * classes);
    const hits = Array.from({ length: 60 }, (_, i) => {
      const row = Array.from(probabilities.subarray(i * classes, (i + 1) * classes));
      assert.ok(Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-6);
      return row.indexOf(Math.max(...row)) === i % classes;
    }).filter(Boolean).length;
    assert.equal(
      hits / 60,
      fresh.learned.metrics && 'accuracy' in fresh.learned.metrics ? fresh.learned.metrics.accuracy : null,
    );
    await assert.rejects(predictor.predict(x, 59), TypeError);
    assert.equal((await predictor.predict(new Float32Array(0), 0)).length, 0);
    await predictor.release();

    const bytes = ['head.json', 'head.onnx'].map((name) => readFileSync(join(place, name)));
    await saveHead(place, made(await head(classes)));
    assert.deepEqual(
      ['head.json', 'head.onnx'].map((name) => readFileSync(join(place, name))),
      bytes,
      'same bytes',
    );
  });
}

test('head.onnx stands alone: raw features in, probabilities out', async () => {
  const fresh = await head(2);
  const { model } = made(fresh);
  const session = await ort.InferenceSession.create(model);
  const { probabilities } = await session.run({ features: new ort.Tensor('float32', x, [60, 5]) });
  assert.deepEqual(probabilities?.dims, [60, 1]);
  const { kernel, bias } = fresh.trained.net.layers[0] as DenseWeights;
  for (const row of [0, 17, 59]) {
    const logit = kernel.reduce((sum, weight, j) => sum + weight * (x[row * 5 + j] ?? 0), bias[0] ?? 0);
    assert.ok(Math.abs((probabilities?.data[row] as number) - 1 / (1 + Math.exp(-logit))) < 1e-6);
  }
});

test('what is no head, or a damaged one, is one sentence', async () => {
  const place = join(dir, 'damaged');
  const good = made(await head(2));
  const json = join(place, 'head.json');
  await rejects(loadHead(place), /no head in .*head.json is missing/);
  await saveHead(place, good);
  const text = readFileSync(json, 'utf8');
  const damage = async (change: (fields: Record<string, unknown>) => void, pattern: RegExp) => {
    const fields = JSON.parse(text);
    change(fields);
    writeFileSync(json, JSON.stringify(fields));
    await rejects(loadHead(place), pattern);
  };
  for (const name of Object.keys(good.info)) {
    if (!LATER.includes(name)) await damage((fields) => delete fields[name], /its \w+ is missing or damaged/);
    await damage((fields) => {
      fields[name] = 'nonsense';
    }, /its \w+ is missing or damaged/);
  }
  await damage((fields) => {
    fields.classes = ['no', 'no'];
  }, /its classes/);
  await damage((fields) => {
    fields.version = 3;
  }, /format version 3/);
  writeFileSync(json, text.slice(0, 200));
  await rejects(loadHead(place), /is not JSON/);
  writeFileSync(json, '[]');
  await rejects(loadHead(place), /does not hold a head/);
  writeFileSync(json, text);
  const onnx = readFileSync(join(place, 'head.onnx'));
  onnx[20] = (onnx[20] ?? 0) ^ 1;
  writeFileSync(join(place, 'head.onnx'), onnx);
  await rejects(loadHead(place), /is not the file that head.json was saved with/);
  rmSync(join(place, 'head.onnx'));
  await rejects(loadHead(place), /head.onnx is missing/);
  await rejects(HeadPredictor.open({ ...good, model: Uint8Array.of(1, 2, 3) }), /head.onnx is damaged/);
  const narrow = { ...good, info: { ...good.info, dim: 4 } };
  const predictor = await HeadPredictor.open(narrow);
  await assert.rejects(predictor.predict(new Float32Array(4), 1), /does not take 4 features/);
  await predictor.release();
});

test('what a head was saved without is what it was before there was such a thing', async () => {
  const place = join(dir, 'earlier');
  const { info, model } = made(await head(2));
  const { options, ...rest } = info;
  for (const name of LATER) delete (rest as Record<string, unknown>)[name];
  // The options of the first heads: whatever was added since is absent.
  const { epochs, batchSize, learningRate, l2, seed, patience } = options;
  const first = { epochs, batchSize, learningRate, l2, seed, patience };
  assert.ok(Object.keys(first).length < Object.keys(HEAD_RULES).length);
  await saveHead(place, { info: { ...rest, options: first } as never, model });
  const read = (await loadHead(place)).info;
  assert.deepEqual(read, {
    ...info,
    ...{ identity: null, commonest: null, meanAnswer: null, chosen: null, end: null, closedForm: null },
  });
  for (const name of Object.keys(HEAD_RULES)) {
    await saveHead(place, { info: { ...info, options: { ...options, [name]: undefined } } as never, model });
    assert.ok(Object.hasOwn((await loadHead(place)).info.options, name), name);
  }
});

test('a head of the first version is read as one of this version', async () => {
  const place = join(dir, 'first');
  const { info, model } = made(await head(2));
  const { task, classes, dim, fingerprint, set, standardization, seed, versions, train, val, bestEpoch, history } =
    info;
  const first = {
    version: 1,
    ...{ task, classes, dim, fingerprint, set, standardization },
    options: { epochs: 3, batchSize: 32, learningRate: 0.1, l2: 0, seed: 0, patience: 10, standardize: true },
    ...{ seed, versions, train, val },
    metrics: {
      accuracy: 0.7,
      auc: 0.8,
      loss: 0.5,
      confusion: [
        [20, 10],
        [8, 22],
      ],
    },
    majority: 0.5,
    ...{ bestEpoch, history, model: info.model },
  };
  await saveHead(place, { info: first as never, model });
  const read = (await loadHead(place)).info;
  assert.equal(read.version, 2);
  assert.deepEqual(read.options, { ...info.options, scale: 'standard' });
  assert.deepEqual(read.threshold, { criterion: 'fixed', values: [0.5] });
  assert.deepEqual([read.joined, read.testMetrics, read.folds, read.temperature], [[], null, null, null]);
  assert.ok(read.metrics && 'confusion' in read.metrics);
  assert.equal(read.metrics.balancedAccuracy, (20 / 30 + 22 / 30) / 2);
  assert.deepEqual(
    read.metrics.classes.map(({ support, recall }) => [support, recall]),
    [
      [30, 20 / 30],
      [30, 22 / 30],
    ],
  );
  for (const name of Object.keys(first)) {
    writeFileSync(join(place, 'head.json'), JSON.stringify({ ...first, [name]: 'nonsense' }));
    await rejects(loadHead(place), /its \w+ is missing or damaged/);
  }
});

test('a full disk is one sentence, leaves nothing, and spares the head that was there', async () => {
  const place = join(dir, 'full');
  await saveHead(place, made(await head(2)));
  const before = readFileSync(join(place, 'head.json'));
  for (const write of [1, 2]) {
    let writes = 0;
    const system = faulty((operation) =>
      operation === 'write' && ++writes === write ? systemError('ENOSPC') : undefined,
    );
    await rejects(saveHead(place, made(await head(3)), { system }), /no space is left on the disk .*: free some/);
    assert.deepEqual(readdirSync(place).sort(), ['head.json', 'head.onnx']);
    assert.deepEqual((await loadHead(place)).info, JSON.parse(before.toString()));
  }
});

test('a folder that cannot be written is one sentence and leaves nothing', async () => {
  const good = made(await head(2));
  writeFileSync(join(dir, 'file'), '');
  await rejects(saveHead(join(dir, 'file'), good), /could not be written: .* is a file/);
  await rejects(saveHead(join(dir, 'file', 'x'), good), /could not be written: .* is a file/);
  if (existsSync('/dev/full') && process.getuid?.() !== 0) {
    chmodSync(dir, 0o500);
    await rejects(saveHead(join(dir, 'closed'), good), /may not be written/);
    chmodSync(dir, 0o700);
  }
});
