import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { openBase } from '../../src/base/index.js';
import { readModel } from '../../src/keras/index.js';
import { conforms, engines } from '../helpers/conformance.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { needsPython, python } from '../helpers/peers.js';

/** The smallest of each family, at the least size that Keras takes it at; every other is tried where everything is. */
const SMALL = [
  ...['mobilenet@0.25:32', 'mobilenet-v2@0.35:32', 'mobilenet-v3-small:32', 'mobilenet-v3-small-minimalistic:32'],
  ...['nasnet-mobile:32', 'efficientnet-b0:32', 'efficientnet-v2-b0:32', 'densenet121:32', 'vgg16:32'],
  ...['xception:71', 'inception-v3:75', 'resnet50:32', 'resnet50-v2:32', 'convnext-tiny:32'],
];
/** One after the other, the small ones first. */
const ALL = [
  ...[
    'mobilenet:32',
    'mobilenet-v2:32',
    'mobilenet-v3-small:32',
    'mobilenet-v3-large:32',
    'mobilenet-v3-small-minimalistic:32',
  ],
  ...['mobilenet-v3-large-minimalistic:32', 'nasnet-mobile:32', 'densenet121:32', 'densenet169:32', 'densenet201:32'],
  ...[
    'efficientnet-b0:32',
    'efficientnet-b1:32',
    'efficientnet-b2:32',
    'efficientnet-b3:32',
    'efficientnet-b4:32',
    'efficientnet-b5:32',
  ],
  ...[
    'efficientnet-v2-b0:32',
    'efficientnet-v2-b1:32',
    'efficientnet-v2-b2:32',
    'efficientnet-v2-b3:32',
    'efficientnet-v2-s:32',
  ],
  ...['vgg16:32', 'vgg19:32', 'xception:71', 'inception-v3:75', 'resnet50:32', 'resnet50-v2:32', 'convnext-tiny:32'],
  ...[
    'resnet101:32',
    'resnet101-v2:32',
    'resnet152:32',
    'resnet152-v2:32',
    'convnext-small:32',
    'inception-resnet-v2:75',
  ],
  ...['efficientnet-b6:32', 'efficientnet-b7:32', 'efficientnet-v2-m:32', 'efficientnet-v2-l:32', 'nasnet-large:32'],
  ...['convnext-base:32', 'convnext-large:32', 'convnext-xlarge:32'],
];

const floats = (packed: string): Float32Array => new Float32Array(new Uint8Array(Buffer.from(packed, 'base64')).buffer);

interface Saved {
  file: string;
  kind: 'plain' | 'nested';
  input: string;
  output: string;
  shape: number[];
}

test(
  'applications that Keras saved, plain and nested behind augmentation, give what Keras gives',
  needsPython('keras', 'tensorflow'),
  async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const [engine] = await engines();
    assert.ok(engine);
    const named = process.env.PERMAFROST_APPLICATIONS?.split(' ');
    const cases = named ?? (long ? [...SMALL.filter((one) => one.includes('@')), ...ALL] : SMALL);
    const half = long ? [] : ['--half'];
    const child = spawn(python, [fixture('save_applications.py'), ...half, folder, ...cases], {
      env: { ...process.env, KERAS_BACKEND: 'tensorflow' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.on('error', () => {}); // it ends before the last line
    child.stdin.write('\n'); // the next is made while one is read
    t.after(() => child.kill());
    const done = once(child, 'close');
    let files = 0;
    for await (const line of createInterface(child.stdout)) {
      if (!line.startsWith('{')) continue;
      const { file, kind, input, output, shape }: Saved = JSON.parse(line);
      const expected = floats(output);
      const max = Math.max(...expected.map(Math.abs));
      assert.ok(max >= 1e-3 && max <= 1e4, `${file}: values up to ${max}`);
      const mean = expected.reduce((a, b) => a + b, 0) / expected.length;
      const graph = await readModel(file);
      const name = path.basename(file);
      const limit = 1e-4 * max;
      const worst = await conforms(engine, {
        name,
        graph: () => graph,
        images: () => floats(input),
        n: 1,
        expected,
        max,
        mean,
        shape,
        limit,
      });
      if (kind === 'nested') {
        const base = await openBase({ base: file, layer: 'gap' });
        assert.equal(base.spec.preprocess, 'none', name);
      }
      t.diagnostic(`${name}: differs by ${(worst / max).toExponential(1)} of the largest value`);
      files++;
      rmSync(file);
      child.stdin.write('\n');
    }
    assert.deepEqual([(await done)[0], files], [0, cases.length * (long ? 4 : 2)]);
  },
);
