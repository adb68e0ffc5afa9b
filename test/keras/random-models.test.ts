import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { ModelError } from '../../src/errors.js';
import { type Model, readModel } from '../../src/keras/index.js';
import { conforms, engines } from '../helpers/conformance.js';
import { fixture, root } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { needsPython, python } from '../helpers/peers.js';

interface Made {
  number: number;
  files: string[];
  layer: string | null;
  input: string;
  output: string;
  shape: number[];
}

const floats = (packed: string): Float32Array => new Float32Array(new Uint8Array(Buffer.from(packed, 'base64')).buffer);

/** What docs/bases.md says is refused, as messages begin it. */
const listed = readFileSync(path.join(root, 'docs/bases.md'), 'utf8');
function isListed(message: string): boolean {
  const found = /layer \S+ \((\w+)\)(?:: (?:the class|the operation) (\w+)|: (\w+)|.*?)/.exec(message);
  return [found?.[1], found?.[2], found?.[3]].some((name) => name !== undefined && listed.includes(`\`${name}\``));
}

test(
  'models made at random open with the numbers of Keras, or are refused by a name that the page of bases lists',
  needsPython('keras', 'tensorflow'),
  async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
    const [from, count] = (process.env.PERMAFROST_RANDOM?.split(' ') ?? ['0', long ? '300' : '6']).map(Number) as [
      number,
      number,
    ];
    const both = await engines();
    const child = spawn(python, [fixture('random_models.py'), folder, String(from), String(count)], {
      env: { ...process.env, KERAS_BACKEND: 'tensorflow' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    t.after(() => {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    });
    const done = once(child, 'close');
    const tally = { models: 0, opened: 0, refused: 0 };
    const faults: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      if (!line.startsWith('{')) continue;
      const { number, files, layer, input, output, shape }: Made = JSON.parse(line);
      tally.models++;
      const expected = floats(output);
      const max = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const mean = expected.reduce((a, b) => a + b, 0) / expected.length;
      for (const file of files) {
        const name = `${number}${path.extname(file)}`;
        let graph: Model;
        try {
          graph = await readModel(file, layer ?? undefined);
        } catch (error) {
          if (!(error instanceof ModelError)) faults.push(`${name}: ${(error as Error).stack}`);
          else if (isListed(error.message)) tally.refused++;
          else faults.push(`${name}: ${error.message}`);
          continue;
        }
        const each = {
          name,
          graph: () => graph,
          images: () => floats(input),
          n: 2,
          expected,
          max,
          mean,
          shape,
          limit: 1e-4 * Math.max(max, 1e-3),
        };
        for (const engine of both) {
          if (max === 0) continue;
          await conforms(engine, each).catch((error: Error) => faults.push(`${name} ${engine.name}: ${error.message}`));
        }
        tally.opened++;
      }
      child.stdin.write('\n');
      for (const file of files) rmSync(file, { force: true });
    }
    t.diagnostic(JSON.stringify(tally));
    for (const fault of faults) t.diagnostic(fault.slice(0, 400));
    assert.deepEqual([(await done)[0], tally.models, faults.length], [0, count, 0], faults.slice(0, 5).join('\n'));
    assert.ok(tally.opened > tally.models, JSON.stringify(tally));
  },
);
