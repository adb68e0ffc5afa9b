import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { FeatureSet, type FeaturesResult } from '../../src/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture, root } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const BASE = ['--base', fixture('keras/tiny.keras'), '--layer', 'maps', '--preprocess', 'tf'];
const SHARDS = 3;

interface Job {
  readonly command: readonly [string, ...string[]];
  /** What the scheduler sets for the shard, from 1. */
  readonly env: (shard: number) => Record<string, string>;
}

/** The containers of the Kubernetes job, as the file has it. */
const [container] = parse(readFileSync(path.join(root, 'examples/kubernetes/features.yaml'), 'utf8')).spec.template.spec
  .containers as { command: [string, ...string[]]; env: { name: string }[] }[];

const JOBS: Readonly<Record<string, Job>> = {
  slurm: {
    command: ['bash', path.join(root, 'examples/slurm/features.sbatch')],
    env: (shard) => ({ SLURM_ARRAY_TASK_ID: `${shard}`, SLURM_ARRAY_TASK_COUNT: `${SHARDS}` }),
  },
  kubernetes: {
    command: container?.command ?? [''],
    env: (shard) => ({ JOB_COMPLETION_INDEX: `${shard - 1}`, SHARDS: `${SHARDS}` }),
  },
};

/** @returns what a set maps to what */
async function contents(dir: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const set = await FeatureSet.open(dir);
  for await (const { keys, vectors, rows } of set.batches()) {
    for (let row = 0; row < rows; row++) {
      const vector = vectors.subarray(row * set.spec.features, (row + 1) * set.spec.features);
      found.set(Buffer.from(keys.subarray(row * 32, row * 32 + 32)).toString('hex'), `${vector}`);
    }
  }
  return found;
}

for (const [name, { command, env }] of Object.entries(JOBS)) {
  test(`an array job of ${name}, tasks of which are killed and run again, gives what one run gives`, async (t) => {
    const dir = await folder(t);
    const bin = path.join(dir, 'bin');
    mkdirSync(bin);
    const shim = path.join(bin, 'permafrost');
    writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${path.join(root, 'dist/pipeline/cli.js')}" "$@"\n`);
    chmodSync(shim, 0o755);
    const data = await pictures(t, 24);
    const alone = await permafrost(['features', ...BASE, '--data', data, '--json'], dir);
    assert.equal(alone.code, 0, alone.stderr);
    const one = JSON.parse(alone.stdout) as FeaturesResult;
    const given = { DATA: data, CACHE: path.join(dir, 'shared'), FLAGS: BASE.join(' ') };
    const [program, ...args] = command;
    const task = (shard: number, kill?: NodeJS.Signals, after = 0): Promise<{ code: number | null; stdout: string }> =>
      new Promise((resolve) => {
        const PATH = `${bin}:${process.env.PATH}`;
        const child = spawn(program, args, { cwd: dir, env: { ...process.env, ...given, ...env(shard), PATH } });
        let stdout = '';
        child.stdout.on('data', (chunk) => {
          stdout += chunk;
        });
        child.stderr.resume();
        if (kill !== undefined) setTimeout(() => child.kill(kill), after);
        child.on('close', (code) => resolve({ code, stdout }));
      });
    await Promise.all([task(1, 'SIGKILL', 700), task(2, 'SIGTERM', 900), task(3)]);
    const ended = await Promise.all(Array.from({ length: SHARDS }, (_, i) => task(i + 1)));
    assert.deepEqual(
      ended.map(({ code }) => code),
      [0, 0, 0],
    );
    const results = ended.map(({ stdout }) => JSON.parse(stdout) as FeaturesResult);
    assert.deepEqual(
      results.map(({ images, elsewhere }) => images + elsewhere),
      results.map(() => one.images),
    );
    assert.equal(
      results.reduce((sum, { images }) => sum + images, 0),
      one.images,
      'each image falls to one task',
    );
    assert.deepEqual(await contents((results[0] as FeaturesResult).dir), await contents(one.dir));
  });
}
