import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import ort from 'onnxruntime-node';
import { type Base, openBase } from '../../src/base/index.js';
import { exportHead, type HeadFormat } from '../../src/commands/export.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { VectorRunner } from '../../src/extract/vectors.js';
import type { Graph } from '../../src/graph/graph.js';
import { cutAt } from '../../src/graph/passes.js';
import { HeadPredictor, loadHead, makeHead, saveHead } from '../../src/heads/index.js';
import { applications, randomWeights, readModel, tfjsFiles, writtenModel } from '../../src/keras/index.js';
import type { Targets, Task } from '../../src/labels/targets.js';
import { HEAD_FORMATS } from '../../src/options/choices.js';
import { Random } from '../../src/random.js';
import { fingerprint, type SetSpec } from '../../src/store/index.js';
import type { HeadOptions } from '../../src/train/options.js';
import { trainHead } from '../../src/train/train.js';
import { memoryVectors } from '../../src/train/vectors.js';
import { permafrost } from '../helpers/cli.js';
import { assertRelativelyClose } from '../helpers/close.js';
import { fixture } from '../helpers/fixtures.js';
import { unmeasured } from '../helpers/saved-head.js';

const work = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(work, { recursive: true }));

const N = 4;
const ROWS = 40;
const TARGETS: Readonly<Record<Task, { classes: readonly string[]; of: (i: number) => number[] }>> = {
  binary: { classes: ['no', 'yes'], of: (i) => [i % 2] },
  multiclass: { classes: ['a', 'b', 'c'], of: (i) => [i % 3] },
  multilabel: { classes: ['a', 'b', 'c'], of: (i) => [i % 2, i % 3 === 0 ? 1 : 0, i % 5 === 0 ? 1 : 0] },
  regression: { classes: [], of: (i) => [i / ROWS] },
};

interface Case {
  readonly task: Task;
  readonly preprocess: 'tf' | 'caffe' | 'torch';
  readonly options: HeadOptions;
}

/** Every task, hidden layers and way to scale, each way to preprocess. */
const CASES: Readonly<Record<string, Case>> = {
  binary: { task: 'binary', preprocess: 'tf', options: { scale: 'standard' } },
  multiclass: { task: 'multiclass', preprocess: 'caffe', options: { scale: 'l2' } },
  multilabel: { task: 'multilabel', preprocess: 'torch', options: {} },
  regression: { task: 'regression', preprocess: 'tf', options: { scale: 'standard', hidden: [6], activation: 'gelu' } },
  deep: {
    task: 'multiclass',
    preprocess: 'caffe',
    options: { hidden: [8, 5], batchNorm: true, activation: 'silu', scale: 'l2' },
  },
};

/** A file that was written, what goes in and what must come out. */
interface Job {
  readonly name: string;
  readonly format: HeadFormat;
  readonly file: string;
  readonly shape: readonly number[];
  readonly input: Float32Array;
  readonly expected: Float32Array;
  readonly withBase: boolean;
  /** Whether vectors are brought to length 1. */
  readonly normalized: boolean;
}

const pack = (values: Float32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
/** The largest difference; of numbers above 1, which only a regression gives, over the largest of them. */
const differs = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  a.length === b.length
    ? Math.max(...Array.from(a, (v, i) => Math.abs(v - (b[i] ?? Number.NaN)))) /
      Math.max(1, ...Array.from(b, (v) => Math.abs(v)))
    : Number.NaN;

/** Trains the head of a case on seeded pictures; gives the first of them, their vectors and what the head says of them. */
async function trainedOn(base: Base, name: string, { task, options }: Case) {
  const { height, width, channels } = base.spec.input;
  const random = new Random(name);
  const pixels = Array.from({ length: ROWS }, (_, i) =>
    Uint8Array.from({ length: height * width * channels }, () => random.below(100 + 3 * i)),
  );
  const runner = await VectorRunner.open(base, onnxEngine, {}, { batchSize: N });
  const rows: Float32Array[] = [];
  for (let i = 0; i < ROWS; i += N) rows.push(...(await runner.run(pixels.slice(i, i + N))));
  await runner.release();
  const d = base.spec.features;
  const x = Float32Array.from(rows.flatMap((row) => Array.from(row)));
  const { classes, of } = TARGETS[task];
  const Y = { binary: Int32Array, multiclass: Int32Array, multilabel: Uint8Array, regression: Float32Array }[task];
  const y: Targets = Y.from(Array.from({ length: ROWS }, (_, i) => of(i)).flat());
  const trained = await trainHead({ vectors: memoryVectors(x, d), y, task, classes }, null, {
    epochs: 5,
    learningRate: 0.05,
    ...options,
  });
  const dir = path.join(work, name);
  const set = base.spec as unknown as SetSpec;
  await saveHead(
    dir,
    makeHead(unmeasured(trained), {
      sets: [{ fingerprint: fingerprint(set), set: { ...set } }],
      versions: { permafrost: '0.1.0' },
      identity: null,
    }),
  );
  const predictor = await HeadPredictor.open(await loadHead(dir));
  const both = await predictor.predict(x.slice(0, N * d), N);
  await predictor.release();
  const expected = task === 'binary' ? both.filter((_, i) => i % 2 === 1) : both;
  assert.ok(differs(expected.slice(0, expected.length / N), expected.slice(-expected.length / N)) > 1e-3);
  const first = Float32Array.from(pixels.slice(0, N).flatMap((one) => Array.from(one)));
  return { head: dir, pixels: first, vectors: x.slice(0, N * d), expected };
}

/** A case on a tiny base in every format, alone and with its base. */
async function jobsOf(name: string, one: Case): Promise<Job[]> {
  const { preprocess, options } = one;
  const source = fixture('keras/tiny.keras');
  const base = await openBase({ base: source, preprocess, layer: 'maps' });
  const { head, pixels, vectors, expected } = await trainedOn(base, name, one);
  const { height, width, channels } = base.spec.input;
  const jobs: Job[] = [];
  for (const format of HEAD_FORMATS) {
    for (const withBase of [false, true]) {
      const out = path.join(
        work,
        `${name}-${withBase ? 'joined' : 'head'}${format === 'tfjs' ? '-tfjs' : `.${format}`}`,
      );
      const given = withBase ? { base: source, layer: 'maps' } : {};
      await exportHead({ head, cache: work, ...given, format, out, withBase });
      jobs.push({
        ...{
          name: `${name}, ${format}, ${withBase ? 'with base' : 'head alone'}`,
          format,
          withBase,
          expected,
          normalized: options.scale === 'l2',
        },
        file: format === 'tfjs' ? path.join(out, 'model.json') : out,
        shape: withBase ? [N, height, width, channels] : [N, base.spec.features],
        input: withBase ? pixels : vectors,
      });
    }
  }
  return jobs;
}

let written: Promise<Job[]> | undefined;
const jobs = (): Promise<Job[]> => {
  written ??= (async () => {
    const all: Job[] = [];
    for (const [name, one] of Object.entries(CASES)) all.push(...(await jobsOf(name, one)));
    return all;
  })();
  return written;
};

/** Probabilities, as docs/heads.md promises: a head alone, and with its base here and in other runtimes. */
const limit = (job: Job, elsewhere: boolean): number =>
  job.withBase ? (elsewhere ? 1e-4 : 1e-5) : job.name.startsWith('regression') ? 4e-6 : 1e-6; // no probability, but a sum of many

function check(job: Job, got: ArrayLike<number>, elsewhere: boolean): void {
  const found = differs(got, job.expected);
  assert.ok(found <= limit(job, elsewhere), `${job.name} differs by ${found}`);
}

test('what was written is a model again here, and predicts the same', async () => {
  for (const job of await jobs()) {
    if (job.format === 'onnx') {
      const session = await ort.InferenceSession.create(job.file);
      const feeds = { [session.inputNames[0] ?? '']: new ort.Tensor('float32', job.input, job.shape) };
      check(job, (await session.run(feeds)).probabilities?.data as Float32Array, false);
      await session.release();
    } else if (job.withBase) {
      const runner = await onnxEngine.load(await readModel(job.file));
      check(job, (await runner.run(job.input, N))[0] as Float32Array, false);
      await runner.release();
    }
  }
});

test('TensorFlow.js loads its models and predicts the same', async () => {
  await import('@tensorflow/tfjs-backend-cpu');
  const { loadLayersModel } = await import('@tensorflow/tfjs-layers');
  await tf.setBackend('cpu');
  for (const job of (await jobs()).filter(({ format }) => format === 'tfjs')) {
    const { modelTopology, weightsManifest, userDefinedMetadata } = JSON.parse(readFileSync(job.file, 'utf8'));
    assert.deepEqual(userDefinedMetadata.classes, TARGETS[userDefinedMetadata.task as Task].classes);
    const folder = path.dirname(job.file);
    const shards = weightsManifest[0].paths.map((name: string) => readFileSync(path.join(folder, name)));
    const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
    const model = await loadLayersModel(
      tf.io.fromMemory({ modelTopology, weightSpecs: weightsManifest[0].weights, weightData }),
    );
    const result = model.predict(tf.tensor(job.input, [...job.shape])) as tf.Tensor;
    check(job, await result.data(), true);
  }
});

const READ = `
import base64, json, sys, zipfile
import numpy as np
job_list = json.load(open(sys.argv[1]))
def metadata(job):
    import h5py
    if job["format"] == "keras":
        return json.loads(zipfile.ZipFile(job["file"]).read("metadata.json"))["permafrost"]
    return json.loads(h5py.File(job["file"]).attrs["permafrost"])
results = []
for job in job_list:
    x = np.frombuffer(base64.b64decode(job["input"]), "<f4").reshape(job["shape"])
    if job["format"] == "onnx":
        import onnx, onnxruntime
        onnx.checker.check_model(job["file"], full_check=True)
        session = onnxruntime.InferenceSession(job["file"], providers=["CPUExecutionProvider"])
        y = session.run(["probabilities"], {session.get_inputs()[0].name: x})[0]
        meta = session.get_modelmeta().custom_metadata_map
        assert session.get_inputs()[0].shape[1:] == list(x.shape[1:]), session.get_inputs()[0].shape
        assert session.get_outputs()[0].shape[1:] == list(y.shape[1:]), session.get_outputs()[0].shape
        meta = {"task": meta["task"]} | {k: json.loads(meta[k]) for k in ("classes", "base", "versions")}
    else:
        import keras
        y = keras.models.load_model(job["file"]).predict_on_batch(x)
        meta = metadata(job)
    results.append({"y": np.asarray(y).ravel().tolist(), "classes": meta["classes"], "task": meta["task"], "preprocess": meta["base"]["preprocess"], "versions": sorted(meta["versions"])})
print("\\n" + json.dumps(results))
`;

import { needsPython, python } from '../helpers/peers.js';

for (const [reader, formats, modules] of [
  ['Keras', ['keras', 'h5'], ['keras', 'tensorflow', 'h5py']],
  ["Python's onnxruntime", ['onnx'], ['onnxruntime', 'onnx']],
] as const) {
  test(`${reader} loads its models and predicts the same`, needsPython(...modules), async () => {
    const own = (await jobs()).filter(({ format }) => (formats as readonly string[]).includes(format));
    const list = path.join(work, `${formats[0]}-jobs.json`);
    writeFileSync(list, JSON.stringify(own.map((job) => ({ ...job, input: pack(job.input), expected: null }))));
    const env = { ...process.env, KERAS_BACKEND: 'tensorflow', TF_CPP_MIN_LOG_LEVEL: '3' };
    const { status, stdout, stderr } = spawnSync(python, ['-c', READ, list], { env, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const results = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      y: number[];
      task: string;
      preprocess: string;
    }[];
    for (const [i, job] of own.entries()) {
      check(job, results[i]?.y ?? [], true);
      const { y: _, ...told } = results[i] ?? {};
      const { task, preprocess } = CASES[job.name.split(',')[0] ?? ''] as Case;
      assert.deepEqual(told, { classes: TARGETS[task].classes, task, preprocess, versions: ['permafrost'] });
    }
  });
}
for (const [name, layer] of [
  ['mobilenet-v3-small', 'activation_4'], // two hard swishes, and a squeeze with its hard sigmoid
  ['convnext-tiny', 'convnext_tiny_stage_1_block_0_identity'], // groups of one channel, LayerScale, LayerNormalization
] as const) {
  test(`${name} for TensorFlow.js: what it has not is said with what it has, and gives the same there`, async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    const { loadLayersModel } = await import('@tensorflow/tfjs-layers');
    await tf.setBackend('cpu');
    const application = applications.get(name);
    assert.ok(application);
    const whole = randomWeights(
      application.build({ height: 32, width: 32, channels: 3, includeTop: false }),
      1,
      'none',
    );
    const graph = cutAt(whole, layer);
    const files = new Map(tfjsFiles(writtenModel(graph, 'tfjs'), { name: 'm', metadata: {} }));
    const bytes = (shard: string): Buffer => Buffer.concat([...(files.get(shard) ?? [])]);
    const { modelTopology, weightsManifest } = JSON.parse(bytes('model.json').toString('utf8'));
    const weightData = new Uint8Array(Buffer.concat(weightsManifest[0].paths.map(bytes))).buffer;
    const artifacts = { modelTopology, weightSpecs: weightsManifest[0].weights, weightData };
    const model = await loadLayersModel(tf.io.fromMemory(artifacts));
    const random = new Random(name);
    const pixels = Float32Array.from({ length: 32 * 32 * 3 }, () => random.below(256));
    const runner = await onnxEngine.load(graph);
    const [expected = new Float32Array()] = await runner.run(pixels, 1);
    await runner.release();
    const got = await (model.predict(tf.tensor(pixels, [1, 32, 32, 3])) as tf.Tensor).data();
    assertRelativelyClose(got, expected, 1e-4);
  });
}

test('what a format cannot hold is refused in a sentence that names it', async () => {
  const divide: Graph = {
    nodes: [
      { name: 'x', op: { kind: 'InputLayer', shape: [2, 2, 3] }, inputs: [], weights: [] },
      { name: 'ratio', op: { kind: 'Divide' }, inputs: ['x', 'x'], weights: [] },
    ],
    input: 'x',
    output: 'ratio',
  };
  for (const reader of ['keras', 'tfjs'] as const)
    assert.throws(() => writtenModel(divide, reader), /ratio \(Divide\)/);

  const source = fixture('onnx/keras_nhwc.onnx');
  const base = await openBase({ base: source, preprocess: 'tf' });
  const { head, expected, pixels } = await trainedOn(base, 'on ONNX', CASES.binary as Case);
  const options = { head, cache: work, base: source, preprocess: 'tf', withBase: true } as const;
  for (const format of ['keras', 'h5', 'tfjs'] as const) {
    await assert.rejects(
      exportHead({ ...options, format, out: path.join(work, 'no') }),
      /is an ONNX model.*--format onnx/,
    );
  }
  const file = path.join(work, 'on-onnx.onnx');
  await exportHead({ ...options, format: 'onnx', out: file });
  const session = await ort.InferenceSession.create(file);
  const { height, width, channels } = base.spec.input;
  const feeds = { [session.inputNames[0] ?? '']: new ort.Tensor('float32', pixels, [N, height, width, channels]) };
  const found = differs((await session.run(feeds)).probabilities?.data as Float32Array, expected);
  await session.release();
  assert.ok(found <= 1e-5, `differs by ${found}`);
});

test('the same head gives the same bytes, and a joined .keras or .h5 is a base again', async () => {
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await permafrost([...args, '--quiet'], work);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await run('sample', '--per-class', '20');
  await run('features', '--data', 'data/sample');
  await run('train', '--data', 'data/sample', '--name', 'h', '--epochs', '20');
  const picture = 'data/sample/val/ok';
  const expected = (await run('predict', picture, '--head', 'h', '--json')).trim().split('\n');
  for (const format of ['keras', 'h5']) {
    const out = `joined.${format}`;
    const bytes: Buffer[] = [];
    for (let i = 0; i < 2; i++) {
      await run('export', '--head', 'h', '--format', format, '--with-base', '--out', out);
      bytes.push(readFileSync(path.join(work, out)));
    }
    assert.ok(bytes[0]?.equals(bytes[1] as Buffer));
    const found = await run('classify', picture, '--base', `./${out}`, '--preprocess', 'none', '--json');
    for (const [i, line] of found.trim().split('\n').entries()) {
      const second = (JSON.parse(expected[i] ?? '').scores as { score: number }[])[1]?.score;
      assert.ok(Math.abs(JSON.parse(line).top[0].score - (second ?? Number.NaN)) <= 1e-5);
    }
  }
});
