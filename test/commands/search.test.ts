import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { checkAsked, said } from '../../src/commands/prediction.js';
import { DataError, type LabelError, UsageError } from '../../src/errors.js';
import { probe } from '../../src/heads/probe.js';
import { drawFrom, gridOf, parseAxis } from '../../src/heads/space.js';
import { type HeadInfo, loadHead, readPlan, sweep, train, trainPlan } from '../../src/index.js';
import { permafrost, start } from '../helpers/cli.js';
import { labelledSet } from '../helpers/labelled-set.js';

const work = mkdtempSync(path.join(tmpdir(), 'permafrost-sweep-'));
after(() => rmSync(work, { recursive: true }));
let set: Awaited<ReturnType<typeof labelledSet>>;
before(async () => {
  set = await labelledSet(work, 400, 12);
});
const common = () => ({ data: set.data, features: set.features, cache: set.cache });
const space = (...axes: string[]) => Object.fromEntries(axes.map(parseAxis));

test('axes: lists, layers of one head, ranges by the option’s own scale', () => {
  assert.deepEqual(gridOf(space('lr=1e-4,1e-3', 'optimizer=adam,sgd')), [
    { learningRate: 1e-4, optimizer: 'adam' },
    { learningRate: 1e-4, optimizer: 'sgd' },
    { learningRate: 1e-3, optimizer: 'adam' },
    { learningRate: 1e-3, optimizer: 'sgd' },
  ]);
  assert.deepEqual(gridOf(space('hidden=none,256,512-128')), [
    { hidden: [] },
    { hidden: [256] },
    { hidden: [512, 128] },
  ]);
  assert.deepEqual(gridOf(space('l2=1e-4..1e-1:4')), [{ l2: 1e-4 }, { l2: 1e-3 }, { l2: 0.01 }, { l2: 0.1 }]);
  assert.deepEqual(gridOf(space('dropout=0..0.5:3')), [{ dropout: 0 }, { dropout: 0.25 }, { dropout: 0.5 }]);
  assert.deepEqual(gridOf(space('learning-rate=linear:0.1..0.3:3')).length, 3);
  const draw = space('lr=1e-5..1e-1', 'batch-size=8..64');
  const heads = drawFrom(draw, 200, 1);
  assert.deepEqual(heads.slice(0, 20), drawFrom(draw, 20, 1));
  assert.notDeepEqual(heads.slice(0, 20), drawFrom(draw, 20, 2));
  const low = heads.filter(({ learningRate }) => (learningRate ?? 0) < 1e-3).length;
  assert.ok(low > 70 && low < 130, `${low} of 200 below the middle of the log scale`);
  assert.ok(heads.every(({ batchSize }) => Number.isInteger(batchSize)));
});

test('axes that cannot be are wrong use', () => {
  const wrong: [string, RegExp][] = [
    ['lr', /a grid lists values as/],
    ['rate=1', /unknown head option rate/],
    ['lr=0', /learningRate must be a number above 0/],
    ['lr=1e-3,', /learningRate must be/],
    ['l2=0..1:3', /l2: a range runs .* above 0, on a log scale/],
    ['lr=1e-2..1e-3', /a lower to a higher number/],
    ['lr=1e-3..1e-2:1', /in 2 points or more/],
  ];
  for (const [text, message] of wrong) {
    assert.throws(
      () => gridOf(space(text)),
      (error: Error) => error instanceof UsageError && message.test(error.message),
      text,
    );
  }
  assert.throws(() => gridOf(space('lr=1e-3..1e-2')), /needs the number of points of learningRate/);
  assert.throws(() => gridOf(space('l2=1e-6..1:101', 'lr=1e-6..1:101')), /more than 10000 heads/);
});

test('a probe finds the best of 97 penalties by trying 15', async () => {
  for (const best of [0, 5, 41, 63, 96]) {
    const tried: number[] = [];
    const stepOf = (l2: number): number => Math.round((Math.log10(l2 * 2 * 50) + 6) * 8);
    await probe(50, async (penalties) => {
      tried.push(...penalties.map(stepOf));
      return penalties.map((l2) => Math.abs(stepOf(l2) - best));
    });
    assert.ok(tried.includes(best), `${best} in ${tried}`);
    assert.ok(tried.length <= 15 && new Set(tried).size === tried.length);
  }
});

for (const task of ['binary', 'multiclass', 'multilabel', 'regression'] as const) {
  test(`a ${task} sweep ranks, saves the best, and keeps every result`, async () => {
    const options = { ...common(), labels: set.labels(task), epochs: 12, scale: 'standard', bootstrap: 50 } as const;
    const grid = ['lr=1e-3,3e-2', 'l2=0,1e-3'];
    const result = await sweep({ ...options, grid, name: task });
    assert.equal(result.best.task, task);
    assert.deepEqual(result.tried, ['learningRate', 'l2']);
    const losses = result.heads.map(({ loss }) => loss ?? Number.NaN);
    assert.deepEqual(
      losses,
      [...losses].sort((a, b) => a - b),
    );
    assert.deepEqual([result.best.val, result.best.test], [80, 80]);
    assert.ok(result.best.testMetrics?.intervals);
    const bytes = readFileSync(result.results);
    const rows = tableFromIPC(bytes).toArray();
    assert.deepEqual(
      rows.map(({ rank, learningRate, val_loss }) => [rank, learningRate, val_loss]),
      result.heads.map(({ rank, options: { learningRate }, loss }) => [rank, learningRate, loss]),
    );
    const trained: number[] = [];
    const again = await sweep({ ...options, grid, name: task, onStart: (heads) => trained.push(heads) });
    const { seconds: _took, best: _best, ...rest } = result;
    const { seconds: _took2, best, ...others } = again;
    assert.deepEqual([others, trained], [{ ...rest, reused: true }, []], 'read, not trained again');
    assert.deepEqual([best.reused, best.metrics, best.dir], [true, result.best.metrics, result.best.dir]);
    rmSync(path.join(result.best.dir, 'head.json'));
    assert.equal((await sweep({ ...options, grid, name: task })).reused, false, 'its best head is gone');
    assert.deepEqual(readFileSync(result.results), bytes, 'the same bytes');

    const [first] = result.heads;
    const { intervals: _, ...measured } = result.best.metrics ?? { intervals: null };
    assert.deepEqual(first?.metrics, { ...measured, intervals: null }, 'a row says what the head below it says');
    const { learningRate, l2 } = first?.options ?? {};
    const alone = await train({
      ...options,
      learningRate: learningRate ?? 0,
      l2: l2 ?? 0,
      name: 'alone',
      replace: true,
    });
    const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-5, `${a} in the sweep, ${b} alone`);
    close(alone.metrics?.loss ?? 0, result.best.metrics?.loss ?? 1);
    close(alone.testMetrics?.loss ?? 0, result.best.testMetrics?.loss ?? 1);
    const { info } = await loadHead(result.best.dir);
    assert.deepEqual([info.task, info.test, info.testMetrics], [task, 80, result.best.testMetrics]);
  });
}

test('halving keeps the better half; a plan file and a refit do what flags do', async () => {
  const labels = set.labels('binary');
  const plan = path.join(work, 'sweep.yaml');
  writeFileSync(
    plan,
    `labels: binary.csv\nepochs: 20\nrefit: true\ngrid:\n  lr: [1e-5, 1e-4, 1e-3, 1e-2]\n  l2: 1e-6..1e-4:2\n`,
  );
  const result = await sweep({ ...common(), plan, halving: true, bootstrap: 0, name: 'halved' });
  assert.equal(result.heads.length, 8);
  const count = (status: string) => result.heads.filter((head) => head.status === status).length;
  assert.deepEqual([count('trained'), count('dropped')], [1, 7]);
  assert.deepEqual(
    result.heads.map(({ epochs }) => epochs),
    [20, 16, 8, 8, 4, 4, 4, 4],
  );
  assert.equal(result.best.refit, true);
  assert.equal(result.best.train, 320);
  const probed = await sweep({ ...common(), labels, probe: true, bootstrap: 0, name: 'probe' });
  assert.ok(probed.heads.length >= 13 && probed.heads.length <= 17, `${probed.heads.length} tried`);
  assert.deepEqual(probed.tried, ['optimizer', 'epochs', 'l2']);
  for (const optimizer of ['lda', 'ridge']) {
    const [row] = probed.heads.filter(({ options }) => options.optimizer === optimizer);
    assert.equal(row?.status, 'trained', optimizer);
    assert.ok((row?.loss ?? 9) < 0.7, optimizer);
  }
});

test('a sweep over folds chooses by all parts together, as train measures them; its table says each part', async () => {
  const options = { ...common(), labels: set.labels('binary'), epochs: 5, folds: 3, bootstrap: 0 };
  const swept = await sweep({ ...options, grid: ['lr=1e-3,1e-2'], name: 'folded' });
  const { best } = swept;
  assert.equal(best.folds?.length, 3);
  assert.deepEqual(best.chosen, ['options', 'epoch', 'threshold']);
  const [first, second] = swept.heads;
  assert.ok((first?.loss ?? 1) < (second?.loss ?? 0));
  assert.deepEqual(first?.metrics, best.metrics);
  const alone = await train({ ...options, learningRate: first?.options.learningRate ?? 0, name: 'crossed-alone' });
  assert.ok(Math.abs((alone.metrics?.loss ?? 0) - (best.metrics?.loss ?? 1)) < 1e-5, `${alone.metrics?.loss}`);
  const [header = '', ...rows] = readFileSync(swept.results.replace('.arrow', '.csv'), 'utf8').trim().split('\n');
  assert.match(
    header,
    /^rank,status,learningRate,val_loss,.*,fold_1_val_loss,fold_1_best_epoch,.*,fold_3_best_epoch,options/,
  );
  assert.deepEqual(
    rows.map((row) => row.split(',').slice(0, 2)),
    [
      ['1', 'trained'],
      ['2', 'trained'],
    ],
  );
});

test('training labels that are all the same are told', async () => {
  const labels = path.join(work, 'constant.csv');
  const rows = readFileSync(set.labels('regression'), 'utf8').replaceAll(/,[^,]+,train$/gm, ',7,train');
  writeFileSync(labels, rows);
  const told: string[] = [];
  await train({
    ...common(),
    labels,
    name: 'constant',
    epochs: 1,
    bootstrap: 0,
    task: 'regression',
    onWarning: (one) => told.push(one),
  });
  assert.ok(told.includes('all training labels are 7: nothing is learned but that number'), told.join());
});

test('a sweep that cannot be is refused', async () => {
  const rejects = (options: object, kind: typeof UsageError | typeof LabelError, message: RegExp) =>
    assert.rejects(sweep({ ...common(), labels: set.labels('binary'), ...options }), (error: Error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  await rejects({}, UsageError, /needs options to try/);
  await rejects({ grid: ['lr=1e-3'], probe: true }, UsageError, /a probe searches l2 alone/);
  await rejects({ grid: ['lr=1e-3'], folds: 3, halving: true }, UsageError, /halving drops heads by their loss on one/);
  await rejects({ grid: ['lr=1e-3'], by: 'r2' }, UsageError, /binary sweep is ranked by one of loss, accuracy/);
  await rejects({ grid: ['dropout=0.5'], optimizer: 'lbfgs' }, UsageError, /lbfgs sees all rows at once/);
  await rejects({ grid: ['lr=1e-3'], features: [set.features, set.features] }, UsageError, /given twice/);
});

test('cross-validation, few shots, a temperature, and joined sets', async () => {
  const options = {
    ...common(),
    labels: set.labels('multiclass'),
    epochs: 10,
    bootstrap: 0,
    out: path.join(work, 'x'),
    replace: true,
  };
  const folded = await train({ ...options, folds: 4, calibrate: true });
  assert.deepEqual([folded.train, folded.val, folded.test, folded.folds?.length], [320, 320, 80, 4]);
  assert.equal(
    folded.folds?.reduce((sum, { val }) => sum + val, 0),
    320,
  );
  assert.ok((folded.temperature ?? 0) > 0);
  const few = await train({ ...options, shots: 5 });
  assert.equal(few.train, 15);
  const other = await labelledSet(path.join(work, 'other'), 400, 5);
  const joined = await train({ ...options, features: [set.features, other.features] });
  const { info } = await loadHead(joined.dir);
  assert.equal(info.dim, 17);
  assert.deepEqual(
    info.joined.map(({ set }) => set.features),
    [5],
  );
});

test('vectors that do not fit into memory are streamed and give a head as good', async () => {
  const options = { ...common(), labels: set.labels('binary'), epochs: 30, learningRate: 0.01, bootstrap: 0 };
  const whole = await train({ ...options, name: 'whole' });
  const streamed = await train({ ...options, name: 'streamed', memory: 8000 });
  const accuracy = ({ metrics }: typeof whole) => (metrics && 'accuracy' in metrics ? metrics.accuracy : 0);
  assert.ok(accuracy(whole) > 0.85 && accuracy(streamed) > accuracy(whole) - 0.05);
  assert.equal(streamed.train, whole.train);
});

test('what a head says: thresholds, labels joined by |, numbers', () => {
  const both = (a: number, b: number) => [
    { label: 'a', score: a },
    { label: 'b', score: b },
  ];
  const head = (fields: object) => ({ coverage: null, ...fields }) as HeadInfo;
  const binary = head({ task: 'binary', classes: ['a', 'b'], threshold: { criterion: 'fixed', values: [0.75] } });
  assert.deepEqual(said(binary, [0.375, 0.625]), { label: 'a', score: 0.375, scores: both(0.375, 0.625) });
  const several = head({
    task: 'multilabel',
    classes: ['a', 'b'],
    threshold: { criterion: 'f1', values: [0.25, 0.5] },
  });
  assert.deepEqual(said(several, [0.375, 0.75]), { label: 'a|b', score: 0.375, scores: both(0.375, 0.75) });
  assert.deepEqual(said(several, [0.125, 0.25]), { label: '', score: 0.25, scores: both(0.125, 0.25) });
  const number = head({ task: 'regression', classes: [], threshold: null });
  assert.deepEqual(said(number, [-1.5]), { label: '-1.5', score: -1.5, scores: [] });

  const best = { label: 'b', score: 0.625 };
  assert.deepEqual(said(binary, [0.375, 0.625], { top: 1 }), { label: 'a', score: 0.375, scores: [best] });
  assert.deepEqual(said(binary, [0.375, 0.625], { minScore: 0.5 }).label, '', 'what is not sure is not said');
  assert.deepEqual(said(several, [0.375, 0.75], { minScore: 0.5 }), {
    ...said(several, [0.25, 0.75]),
    scores: both(0.375, 0.75),
  });
  for (const asked of [{ top: 1 }, { minScore: 0.5 }, { sortInto: 'x' }]) {
    assert.throws(() => checkAsked(number, asked), {
      name: 'UsageError',
      message: /is about classes, and this head says numbers/,
    });
    checkAsked(binary, asked);
  }
});

test('every fault of a plan names its line', async () => {
  const faults: [string, RegExp][] = [
    [
      'heads:\n  - name: a\n    lr: 5000\n',
      /p.yaml line 3: learningRate must be a number above 0 and at most 1000, not 5000/,
    ],
    ['heads:\n  - name: a\n    speed: 1\n', /line 3: unknown head option speed/],
    ['heads:\n  - name: a\n  - name: a\n', /line 3: two heads are called a/],
    ['heads:\n  - lr: 1\n', /line 2: a head needs a name/],
    ['heads:\n  - name: ../a\n', /line 2: a head's name is letters/],
    ['heads:\n  - name: a\n    task: ranking\n', /line 3: task must be one of binary/],
    ['heads:\n  - name: a\n    folds: 1\n', /line 3: folds must be a whole number from 2 to 1000/],
    ['heads:\n  - name: a\n    optimizer: lbfgs\n    l1: 1\n', /line 2: lbfgs needs a smooth loss/],
    ['defaults:\n  hidden: [0]\nheads:\n  - name: a\n', /line 2: hidden must be/],
    ['head:\n  - name: a\n', /line 1: head is none of heads and defaults/],
    ['heads: []\n', /line 1: a plan needs a head at least/],
    ['heads:\n  - name: "a\n', /line \d+: Missing closing/],
    [
      'defaults:\n  lr: 5000\nheads:\n  - name: a\n    speed: 1\n  - name: b\n    batch-size: 0\n',
      /^p.yaml line 2: learningRate must be .*; line 5: unknown head option speed: .*; line 7: batchSize must be [^;]*$/,
    ],
    ['heads:\n  - name: a\n    activation: tanh\n', /line 2: activation belongs to hidden layers/],
    ['heads: &x\n  - {name: a, hidden: *x}\n', /line 2: an alias leads back to itself/],
    ['&x {hidden: *x}\n', /hidden is none of heads and defaults/],
    [`heads: ${'['.repeat(100_000)}`, /nested too deep|line 1/],
    ['', /line 1: a plan must be a mapping/],
  ];
  for (const [text, message] of faults) {
    writeFileSync(path.join(work, 'p.yaml'), text);
    await assert.rejects(readPlan(path.join(work, 'p.yaml')), (error: Error) => {
      assert.ok(error instanceof UsageError, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  }
  await assert.rejects(readPlan(path.join(work, 'none.yaml')), DataError);
});

test('a head that cannot be trained does not stop the others of its plan', async () => {
  const heads = [
    { name: 'good', labels: set.labels('binary'), options: { epochs: 2 }, fit: { bootstrap: 0 } },
    { name: 'absent', labels: path.join(work, 'none.csv'), options: {}, fit: {} },
    { name: 'unfit', labels: set.labels('multiclass'), task: 'binary', options: {}, fit: {} },
    { name: 'last', labels: set.labels('regression'), options: { epochs: 2 }, fit: { bootstrap: 0 } },
  ] as const;
  const results = await trainPlan({ ...common(), plan: { heads } });
  assert.deepEqual(
    results.map(({ status }) => status),
    ['trained', 'failed', 'failed', 'trained'],
  );
});

test('kill -9 during a plan of 20 heads, then the same command: finished heads stay, all are as undisturbed', async () => {
  const tasks = ['binary', 'multiclass', 'multilabel', 'regression'] as const;
  const heads = Array.from({ length: 20 }, (_, i) => {
    const task = tasks[i % 4] as (typeof tasks)[number];
    return `  - { name: h${i}, labels: ${task}.csv, learningRate: ${(i + 1) / 1000}, seed: ${i} }`;
  });
  const plan = path.join(work, 'plan.yaml');
  writeFileSync(plan, `defaults: { epochs: 60, patience: 60 }\nheads:\n${heads.join('\n')}\n`);
  for (const cache of ['killed', 'whole'])
    cpSync(set.features, path.join(work, cache, path.basename(set.features)), { recursive: true });
  const args = (cache: string) => [
    ...['train', '--data', set.data, '--features', path.join(work, cache, path.basename(set.features))],
    ...['--cache', path.join(work, cache), '--plan', plan, '--quiet', '--json'],
  ];
  const saved = (cache: string): string[] => {
    const dir = path.join(work, cache, 'heads');
    return existsSync(dir) ? readdirSync(dir).filter((name) => existsSync(path.join(dir, name, 'head.json'))) : [];
  };
  const child = start(args('killed'), work);
  const closed = new Promise((resolve) => child.on('close', resolve));
  while (saved('killed').length < 4 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGKILL');
  await closed;
  const finished = saved('killed');
  assert.ok(finished.length >= 4 && finished.length < 20, `${finished.length} finished`);
  const again = await permafrost(args('killed'), work);
  assert.equal(again.code, 0, again.stderr);
  const results = JSON.parse(again.stdout).heads as { head: string; status: string }[];
  assert.deepEqual(
    results
      .filter(({ status }) => status === 'reused')
      .map(({ head }) => head)
      .sort(),
    finished.sort(),
  );
  assert.equal(results.filter(({ status }) => status === 'trained').length, 20 - finished.length);
  assert.equal((await permafrost(args('whole'), work)).code, 0);
  for (let i = 0; i < 20; i++) {
    for (const file of ['head.json', 'head.onnx']) {
      const of = (cache: string) => readFileSync(path.join(work, cache, 'heads', `h${i}`, file));
      assert.deepEqual(of('killed'), of('whole'), `h${i} ${file}`);
    }
  }
});
