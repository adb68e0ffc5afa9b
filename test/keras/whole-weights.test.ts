import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { openBase } from '../../src/base/index.js';
import { fixture } from '../helpers/fixtures.js';
import { needsPython, python } from '../helpers/peers.js';

test(
  'the weights of a base are found inside those of a whole model, nested or flat, frozen or not',
  needsPython('keras', 'tensorflow'),
  async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const env = { ...process.env, KERAS_BACKEND: 'tensorflow' };
    await promisify(execFile)(python, [fixture('save_inside.py'), folder], { env });
    const files = readdirSync(folder);
    let compared = 0;
    for (const base of ['mobilenet', 'mobilenet-v3-small-minimalistic', 'efficientnet-b0']) {
      const options = { base, inputSize: [64, 64] as const, ...(base === 'mobilenet' ? { alpha: 0.25 } : {}) };
      const own = await openBase({ base: path.join(folder, `${base}_base.keras`), preprocess: 'none' });
      for (const file of files.filter((name) => name.startsWith(`${base}_`) && !name.includes('_base'))) {
        const { spec } = await openBase({ ...options, weights: path.join(folder, file) });
        assert.deepEqual([spec.graph, spec.weights], [own.spec.graph, own.spec.weights], file);
        compared++;
      }
    }
    assert.equal(compared, 36);
  },
);
