import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';
import { openExplainer } from '../../src/commands/explainer.js';
import { findHead } from '../../src/commands/predict.js';
import {
  type ExplainedImage,
  type ExplainOptions,
  explain,
  type FeaturesOptions,
  features,
  predict,
  type TrainOptions,
  train,
} from '../../src/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const TINY = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;
const MINI = { base: 'xception-mini' } as const;
let data: string;
let cache: string;
let work: string;

type Set = Pick<FeaturesOptions, 'base' | 'layer' | 'preprocess' | 'pooling' | 'image' | 'store'>;

/** A head of the pictures, trained a little. */
async function head(name: string, set: Set | readonly Set[], options: Partial<TrainOptions> = {}): Promise<void> {
  const dirs: string[] = [];
  for (const one of [set].flat() as Set[]) dirs.push((await features({ ...one, data, cache, threads: 1 })).dir);
  await train({ data, cache, name, features: dirs, epochs: 4, bootstrap: 0, val: 0.3, ...options });
}

before(async (t) => {
  const context = t as unknown as TestContext;
  data = await pictures(context, 12);
  work = await folder(context);
  cache = path.join(work, 'cache');
  const images = readdirSync(data, { recursive: true, encoding: 'utf8' }).filter((name) => /\d\.png$/.test(name));
  const rows = (label: (i: number) => string) =>
    `path,label\n${images.map((one, i) => `${one},${label(i)}\n`).join('')}`;
  writeFileSync(
    path.join(work, 'three.csv'),
    rows((i) => ['a', 'b', 'c'][i % 3] as string),
  );
  writeFileSync(
    path.join(work, 'several.csv'),
    rows((i) => ['a', 'a|b', 'b'][i % 3] as string),
  );
  writeFileSync(
    path.join(work, 'numbers.csv'),
    rows((i) => String(i * 1.5 + 0.25)),
  );
});

async function explained(options: Partial<ExplainOptions> & Pick<ExplainOptions, 'head'>): Promise<ExplainedImage[]> {
  const all: ExplainedImage[] = [];
  const given = { cache, paths: [data], out: path.join(work, `out-${options.head}`), threads: 1 };
  for await (const one of explain({ onWarning: () => {}, ...given, ...options })) all.push(one);
  return all;
}

const softmax = (logits: readonly number[]): number[] => {
  const most = Math.max(...logits);
  const all = logits.map((one) => Math.exp(one - most));
  return all.map((one) => one / all.reduce((a, b) => a + b));
};
const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));
const inverse = (probability: number): number => Math.log(probability / (1 - probability));

describe('mean + bias is the logit that head.onnx gives', () => {
  const several = (name: string) => ({ labels: path.join(work, name), val: 0.3 });
  for (const [name, set, options, kind] of [
    ['tiny-two', TINY, () => ({}), 'binary'],
    ['mini-two', MINI, () => ({}), 'binary'],
    ['tiny-three', TINY, () => several('three.csv'), 'softmax'],
    ['mini-three', MINI, () => several('three.csv'), 'softmax'],
    ['standard', TINY, () => ({ ...several('three.csv'), scale: 'standard' as const }), 'softmax'],
    ['l2', MINI, () => ({ scale: 'l2' as const }), 'binary'],
    ['half', { ...MINI, store: 'float16' as const }, () => several('three.csv'), 'softmax'],
    ['joined', [TINY, MINI], () => ({ scale: 'l2' as const }), 'binary'],
    ['pooled-inside', { ...TINY, layer: 'global_average_pooling2d' }, () => ({}), 'binary'],
    ['several', TINY, () => several('several.csv'), 'multilabel'],
    ['numbers', TINY, () => several('numbers.csv'), 'regression'],
  ] as const) {
    test(name, async () => {
      await head(name, set, options());
      const { info, ...explainer } = await openExplainer(await findHead(name, cache), { cache, threads: 1 });
      let images = 0;
      for await (const image of explainer.explained([data])) {
        if (image.error !== undefined) continue;
        images++;
        const logits = image.outputs.map((_, k) => {
          const { values, bias } = image.activation(k);
          return values.reduce((sum, one) => sum + one, 0) / values.length + bias;
        });
        const { outputs } = image;
        const near = (got: number, expected: number): void =>
          assert.ok(Math.abs(got - expected) < 1e-4, `${image.path}: ${got} and ${expected}`);
        for (const [k, logit] of logits.entries()) {
          if (kind === 'regression') near(logit, outputs[k] as number);
          else if (kind === 'softmax') {
            near(softmax(logits)[k] as number, outputs[k] as number);
            near(logit - (logits[0] as number), Math.log((outputs[k] as number) / (outputs[0] as number)));
          } else {
            near(sigmoid(logit), outputs[k] as number);
            if (Math.abs(logit) < 6) near(logit, inverse(outputs[k] as number)); // beyond, float32 has no digits left of it
          }
        }
      }
      await explainer.close();
      assert.equal(images, 12);
      assert.equal(info.options.hidden.length, 0);
    });
  }
});

describe('explain', () => {
  before(() => head('h', TINY));

  test('says what predict says, and draws a picture of that for each image', async () => {
    const out = path.join(work, 'said');
    const found = await explained({ head: 'h', out });
    const said = [];
    for await (const one of predict({ head: 'h', cache, paths: [data], noStore: true, threads: 1 })) said.push(one);
    assert.deepEqual(
      found.map((one) => (one.error === undefined ? (({ pictures: _, ...rest }) => rest)(one) : one)),
      said,
    );
    const broken = found.filter(({ error }) => error !== undefined);
    assert.deepEqual(
      broken.map(({ path: file }) => path.basename(file)),
      ['broken.png'],
    );
    for (const { path: file, label, pictures = [] } of found) {
      if (label === undefined) continue;
      assert.deepEqual(
        pictures.map((one) => one.out),
        [path.join(out, `${path.basename(file, '.png')}-${label}.png`)],
      );
      assert.ok(readFileSync(pictures[0]?.out ?? '').length > 1000);
    }
    assert.equal(readdirSync(out).length, 12);
  });

  test('the same pictures are left as they are, others are not written over but with replace', async () => {
    const out = path.join(work, 'twice');
    await explained({ head: 'h', out, class: 'dark' });
    const bytes = () => readdirSync(out).map((name) => readFileSync(path.join(out, name)).toString('base64'));
    const before = bytes();
    await explained({ head: 'h', out, class: 'dark' });
    await assert.rejects(explained({ head: 'h', out, class: 'dark', colormap: 'viridis' }), {
      name: 'FileError',
      message: /-dark\.png is there already and holds something else.*--replace/,
    });
    assert.deepEqual(bytes(), before);
    await explained({ head: 'h', out, class: 'dark', colormap: 'viridis', replace: true });
    assert.notDeepEqual(bytes(), before);
  });

  test('images of one name get digits of their content; SVG by format', async (t) => {
    const more = await folder(t);
    for (const [name, from] of [
      ['a', 'light/0.png'],
      ['b', 'light/2.png'],
      ['c', 'light/2.png'],
    ] as const) {
      mkdirSync(path.join(more, name));
      copyFileSync(path.join(data, from), path.join(more, name, 'x.png'));
    }
    const out = path.join(await folder(t), 'o');
    await explained({ head: 'h', out, paths: [more], class: 'light', format: 'svg' });
    const names = readdirSync(out).sort();
    assert.equal(names.length, 2);
    assert.match(names[0] ?? '', /^x-[0-9a-f]{8}-light\.svg$/);
    assert.equal(names[1], 'x-light.svg');
  });

  test('what cannot be explained is refused in one sentence that says why', async (t) => {
    await head('hidden', TINY, { hidden: [3] });
    await head('max', { ...TINY, pooling: 'max' });
    await head('other', [TINY, { ...MINI, image: 'keras' }]);
    await head('vector', { base: fixture('models/keras2_nested_activations.h5'), layer: 'flatten' });
    await head('ages', TINY, { labels: path.join(work, 'numbers.csv'), val: 0.3 });
    const out = path.join(await folder(t), 'none');
    for (const [options, name, message] of [
      [{ head: 'hidden' }, 'HeadError', /hidden layers \(3\), so no map .* adds up .*without --hidden/],
      [{ head: 'max' }, 'HeadError', /maxima .*--pooling max.*--pooling avg/],
      [{ head: 'other' }, 'HeadError', /saw different pixels \(--image photo and keras\)/],
      [{ head: 'vector' }, 'HeadError', /not averages of feature maps.*--layer/],
      [{ head: 'h', class: 'drak' }, 'UsageError', /class drak is no class of this head: it has dark, light/],
      [{ head: 'ages', class: 'dark' }, 'UsageError', /this head says numbers/],
      [{ head: 'h', paths: ['/no/such/file.jpg'] }, 'DataError', /no such file/],
      [{ head: 'h', out: path.join(data, 'dark', 'out') }, 'UsageError', /lie within each other/],
      [{ head: 'nobody' }, 'HeadError', /there is no head "nobody"/],
      [{ head: 'h', out: fixture('maps.json') }, 'FileError', /maps\.json/],
    ] as const) {
      await assert.rejects(explained({ out, ...options }), { name, message });
    }
    assert.throws(() => readdirSync(out));
  });

  test('the command: a line an image, or one JSON object', async () => {
    const image = path.join(data, 'light', '0.png');
    const args = ['explain', image, path.join(data, 'dark', 'broken.png'), '--head', 'h', '--cache', cache];
    const { code, stdout, stderr } = await permafrost([...args, '--out', 'p'], work);
    assert.equal(code, 0, stderr);
    const [line = '', bad = ''] = stdout.split('\n');
    assert.match(line, /0\.png\t(light|dark)\t[01]\.\d{4}\tp\/0-(light|dark)\.png$/);
    assert.match(bad, /broken\.png\t\tit is named like an image but is none$/);
    assert.match(stderr, /1 image explained with h, 1 cannot be used, in .* -> p/);
    const json = await permafrost([...args.slice(0, 2), ...args.slice(3), '--out', 'p', '--json'], work);
    const { pictures, label } = JSON.parse(json.stdout) as {
      pictures: [{ out: string; class: string }];
      label: string;
    };
    assert.deepEqual([pictures[0].class, path.basename(pictures[0].out)], [label, `0-${label}.png`]);
    const none = await permafrost(['explain', '--head', 'h'], work);
    assert.equal(none.code, 2);
  });
});
