import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  type Base,
  type BaseSpec,
  digestGraph,
  keepBase,
  keptDir,
  loadProven,
  openBase,
} from '../../src/base/index.js';
import { agreement, within } from '../../src/engine/agreement.js';
import type { Engine, LoadOptions, Runner } from '../../src/engine/engine.js';
import { compile } from '../../src/engine/onnx/compile.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { INPUT } from '../../src/engine/onnx/lower.js';
import ort from '../../src/engine/onnx/runtime.js';
import { EngineError } from '../../src/errors.js';
import { VectorRunner } from '../../src/extract/vectors.js';
import { writeModel } from '../../src/formats/onnx/write.js';
import { opCases } from '../helpers/conformance.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { folder } from '../helpers/store.js';

const tiny = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;

/** The engine, telling what it loads; where it optimizes it takes a share off the largest value, as a fault of an optimizer would. */
function faulty(share: number): { engine: Engine; loaded: string[] } {
  const loaded: string[] = [];
  const engine: Engine = {
    ...onnxEngine,
    version: `faulty ${share}`,
    async load(graph, options: LoadOptions = {}): Promise<Runner> {
      loaded.push(options.optimize === false ? 'plain' : 'optimized');
      const runner = await onnxEngine.load(graph, options);
      if (options.optimize === false) return runner;
      return {
        async run(images, n) {
          const [values = new Float32Array()] = await runner.run(images, n);
          const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
          const at = values.findIndex((value) => Math.abs(value) === largest);
          return [values.map((value, i) => (i === at ? value - share * largest : value))];
        },
        release: () => runner.release(),
      };
    },
  };
  return { engine, loaded };
}

const open = async (base: Base, engine: Engine, cache?: string): Promise<void> => {
  const runner = await VectorRunner.open(base, engine, cache === undefined ? {} : { cache }, { batchSize: 3 });
  await runner.release();
};

const proofs = (dir: string): string[] => readdirSync(dir).filter((name) => /^_proof-[0-9a-f]{16}\.json$/.test(name));

test('a base that the optimizer makes another one of is refused in one sentence, and one that it does not is taken', async (t) => {
  const cache = await folder(t);
  const base = await openBase(tiny);
  await keepBase(cache, base);
  const wrong = faulty(2e-3);
  await assert.rejects(open(base, wrong.engine, cache), (error: Error) => {
    assert.match(
      error.message,
      /^tiny gives other vectors with onnx faulty 0.002 on cpu \(.+\) than without its optimizer, by 0\.2 % of the largest value, where 0\.01 % is allowed: use --engine tensorflow, or another version/,
    );
    return error instanceof EngineError && !error.message.includes('\n');
  });
  assert.deepEqual(wrong.loaded, ['plain', 'optimized'], 'one after the other');
  assert.deepEqual(proofs(keptDir(cache, base.spec)), [], 'it is not proved');
  const right = faulty(2e-5);
  await open(base, right.engine, cache);
  assert.equal(proofs(keptDir(cache, base.spec)).length, 1);
});

test('a proof costs once for each engine, version, device and input; damaged it is made again', async (t) => {
  const cache = await folder(t);
  const base = await openBase(tiny);
  const before = faulty(1e-6);
  await open(base, before.engine, cache);
  await open(base, before.engine, cache);
  assert.deepEqual(before.loaded, ['plain', 'optimized', 'optimized'], 'held in memory where nothing is kept');

  await keepBase(cache, base);
  const { engine, loaded } = faulty(3e-6);
  await open(base, engine, cache);
  const dir = keptDir(cache, base.spec);
  const [name = ''] = proofs(dir);
  const file = path.join(dir, name);
  const text = readFileSync(file, 'utf8');
  const found = JSON.parse(text) as {
    difference: number;
    device: string;
    engine: string;
    processor: { model: string };
  };
  assert.ok(found.difference > 1e-6 && found.difference < 1e-4, `${found.difference}`);
  assert.deepEqual([found.engine, found.device], ['onnx', 'cpu']);
  assert.ok(found.processor.model.length > 5);
  await open(base, engine, cache);
  assert.deepEqual(loaded, ['plain', 'optimized', 'optimized']);

  const other = { ...base, spec: { ...base.spec, input: { ...base.spec.input, height: 40 } } };
  await open(other, engine, cache);
  assert.equal(proofs(dir).length, 2, 'another size of input is another graph');

  for (let at = 0; at < text.length; at += long ? 1 : 97) {
    const copy = path.join(cache, `copy-${at}`);
    cpSync(path.join(cache, 'bases'), path.join(copy, 'bases'), { recursive: true });
    const bytes = Buffer.from(text);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path.join(keptDir(copy, base.spec), name), bytes);
    loaded.length = 0;
    await open(base, engine, copy);
    assert.deepEqual(loaded, ['plain', 'optimized'], `byte ${at} is another`);
    assert.equal(readFileSync(path.join(keptDir(copy, base.spec), name), 'utf8'), text);
  }
  cpSync(path.join(cache, 'bases'), path.join(cache, 'sound', 'bases'), { recursive: true });
  loaded.length = 0;
  await open(base, engine, path.join(cache, 'sound'));
  assert.deepEqual(loaded, ['optimized']);
});

test("with onnxruntime's faulty optimizers on, zero padding before max pooling is refused", async () => {
  const graph = opCases()
    .find(({ name }) => name === 'conv, batch norm, zero padding, max pooling, batch norm')
    ?.graph();
  assert.ok(graph);
  const spec: BaseSpec = {
    ...(await openBase(tiny)).spec,
    ...digestGraph(graph),
    input: { height: 7, width: 6, channels: 3 },
    preprocess: 'tf',
    pooling: 'avg',
    features: 4,
  };
  const base: Base = { name: 'padded', model: { kind: 'layers', graph }, spec };
  const asShipped: Engine = {
    ...onnxEngine,
    version: 'as shipped',
    async load(graph, options: LoadOptions & { readonly input?: 'float32' | 'uint8' } = {}): Promise<Runner> {
      if (options.optimize === false) return onnxEngine.load(graph, options);
      const input = options.input ?? 'float32';
      const session = await ort.InferenceSession.create(writeModel(compile(graph, { input }).graph));
      return {
        async run(images, n) {
          const outputs = await session.run({ [INPUT]: new ort.Tensor(input, images, [n, 7, 6, 3]) });
          return Object.values(outputs).map(({ data }) => data as Float32Array);
        },
        release: () => session.release(),
      };
    },
  };
  await open(base, onnxEngine);
  await assert.rejects(open(base, asShipped), (error: Error) => {
    assert.match(error.message, /^padded gives other vectors with onnx as shipped .* by [\d.]+ % of the largest value/);
    return error instanceof EngineError;
  });
});

test('what two computations agree on: difference over the largest value, cosine, values that are not finite', () => {
  const largest = { kind: 'largest', limit: 1e-4 } as const;
  const cosine = { kind: 'cosine', least: 0.999 } as const;
  const reference = Float32Array.of(1, -2, 3, 4, 0, 0);
  assert.deepEqual(agreement(reference, reference, 3), { difference: 0, cosine: 1 });
  const off = agreement(reference, Float32Array.of(1, -2, 3.004, 4, 0, 0), 3);
  assert.ok(Math.abs(off.difference - 1e-3) < 1e-6 && off.cosine > 0.999999);
  assert.deepEqual([within(off, largest), within(off, cosine)], [false, true]);
  const turned = agreement(reference, Float32Array.of(1, -2, 3, 0, 4, 0), 3);
  assert.deepEqual([turned.cosine, within(turned, cosine)], [0, false]);
  const dead = agreement(new Float32Array(3), Float32Array.of(0, 1e-12, 0), 3);
  assert.ok(within(dead, largest) && within(dead, cosine), 'zeros and what rounds to them');
  const broken = agreement(reference, Float32Array.of(1, Number.NaN, 3, 4, 0, 0), 3);
  assert.deepEqual([within(broken, largest), within(broken, cosine)], [false, false]);
  const both = Float32Array.of(1, Number.POSITIVE_INFINITY, 3);
  assert.ok(within(agreement(both, both, 3), largest));
});

test('xception-mini proves itself in little time', async (t) => {
  const base = await openBase({ base: 'xception-mini' });
  const cost = { first: Number.POSITIVE_INFINITY, again: Number.POSITIVE_INFINITY };
  for (const version of ['1', '2', '3', '4']) {
    for (const when of ['first', 'again'] as const) {
      const started = process.cpuUsage();
      const runner = await loadProven(base, { ...onnxEngine, version }, { input: 'uint8' }, 8);
      const { user, system } = process.cpuUsage(started);
      cost[when] = Math.min(cost[when], (user + system) / 1000);
      await runner.release();
    }
  }
  t.diagnostic(`proving takes ${(cost.first - cost.again).toFixed(0)} ms of a processor more`);
  assert.ok(cost.first - cost.again < 600, '0.3 s on two cores');
});
