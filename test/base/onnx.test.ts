import assert from 'node:assert/strict';
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import type { Base, BaseOptions } from '../../src/base/index.js';
import { keepBase, keptBase, layerGraph, loadBase, openBase } from '../../src/base/index.js';
import { compile } from '../../src/engine/onnx/compile.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { EngineError, ModelError, UsageError } from '../../src/errors.js';
import { writeModel } from '../../src/formats/onnx/write.js';
import { assertRelativelyClose } from '../helpers/close.js';
import { fixture } from '../helpers/fixtures.js';
import { assertRefusal } from '../helpers/refusals.js';

interface Expected {
  readonly preprocess: 'tf' | 'torch' | 'none';
  readonly layer: string | null;
  readonly inputSize: readonly [number, number];
  readonly features: number;
  readonly vectors: string;
  readonly pooling?: 'max';
  readonly tolerance?: number;
}

const expected = JSON.parse(readFileSync(fixture('onnx/expected.json'), 'utf8')) as Record<string, Expected>;
const onnx = (name: string): string => fixture(`onnx/${name}`);
const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(folder, { recursive: true }));

const floats = (packed: string): Float32Array => {
  const bytes = Buffer.from(packed, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

/** The pictures of make_onnx_fixtures.py. */
const pictures = ([height, width]: readonly [number, number], n = 2): Uint8Array =>
  Uint8Array.from({ length: n * height * width * 3 }, (_, i) => (31 * i + ((17 * i * i) % 4093)) % 256);

async function vectors(base: Base, images: Uint8Array, n: number): Promise<Float32Array> {
  const runner = await loadBase(base, onnxEngine, { input: 'uint8' });
  const [result] = await runner.run(images, n);
  await runner.release();
  return result as Float32Array;
}

const optionsOf = (name: string, { preprocess, layer, inputSize, pooling }: Expected): BaseOptions => ({
  base: onnx(name.split(' ')[0] ?? ''),
  preprocess,
  inputSize,
  ...(layer === null ? {} : { layer }),
  ...(pooling ? { pooling } : {}),
});

describe('ONNX models give the vectors of the library that made them', () => {
  for (const [name, one] of Object.entries(expected)) {
    test(name, async () => {
      const base = await openBase(optionsOf(name, one));
      assert.equal(base.spec.features, one.features);
      const images = pictures(one.inputSize);
      const got = await vectors(base, images, 2);
      const wanted = floats(one.vectors);
      const scale = Math.max(...wanted.map(Math.abs));
      assert.ok(scale >= 0.1 && scale <= 100, `values up to ${scale}`);
      assertRelativelyClose(got, wanted, one.tolerance ?? 1e-4);
      const alone = await vectors(base, images.subarray(images.length / 2), 1);
      assert.deepEqual(alone, got.subarray(one.features), 'an image gives the same bits alone and in a batch');
    });
  }
});

test('fingerprints: what a file calls things, its batch and where its weights lie do not matter; weights and tap do', async () => {
  const open = async (name: string, more: Partial<BaseOptions> = {}) =>
    (await openBase({ base: onnx(name), preprocess: 'torch', ...more })).spec;
  const spec = await open('torch_17_open.onnx');
  assert.deepEqual(await open('torch_17_fixed.onnx'), spec);
  assert.deepEqual(await open('external.onnx'), spec);
  assert.notEqual((await open('torch_17_open.onnx', { layer: '/features/features.0/Conv' })).graph, spec.graph);
  assert.equal((await open('torch_17_open.onnx', { layer: '/features/features.0/Conv' })).features, 8);
  assert.notEqual(
    (await open('torch_13_open.onnx')).graph,
    spec.graph,
    'operators may mean other things in other opsets',
  );
});

test('a Slice to the end of an axis, as it is written before opset 10, means what it says', async () => {
  // ends = 2^63 - 1: field 8 of AttributeProto, then its type.
  const encoded = Uint8Array.from([0x40, ...Array<number>(8).fill(0xff), 0x7f, 0xa0, 0x01, 0x07]);
  const file = path.join(folder, 'open_end.onnx');
  const graph = {
    name: 'g',
    nodes: [
      { op: 'Slice', inputs: ['x'], outputs: ['s'], attributes: { axes: [1], starts: [1], ends: { encoded } } },
      { op: 'GlobalAveragePool', inputs: ['s'], outputs: ['y'] },
    ],
    initializers: [],
    inputs: [{ name: 'x', type: 'float' as const, dims: ['n', 3, 4, 4] }],
    outputs: [{ name: 'y', type: 'float' as const, dims: ['n', 2, 1, 1] }],
  };
  writeFileSync(file, writeModel(graph, {}, { ir: 4, opsets: { '': 9 } }));
  const base = await openBase({ base: file, preprocess: 'none' });
  const images = pictures([4, 4], 1);
  const mean = (channel: number): number =>
    images.filter((_, i) => i % 3 === channel).reduce((sum, value) => sum + value, 0) / 16;
  const wanted = Float32Array.of(mean(1), mean(2));
  assertRelativelyClose(await vectors(base, images, 1), wanted, 1e-6);
  const cache = path.join(folder, 'open-end');
  await keepBase(cache, base);
  assertRelativelyClose(await vectors((await keptBase(cache, base.spec)) as Base, images, 1), wanted, 1e-6);
});

test('the base is kept cut, and what is kept is all that is needed', async () => {
  const cache = path.join(folder, 'cache');
  for (const name of ['external.onnx', 'one_row.onnx', 'keras_nhwc.onnx maps', 'half.onnx']) {
    const options = optionsOf(name, expected[name] as Expected);
    const base = await openBase(options);
    await keepBase(cache, base);
    const kept = await keptBase(cache, base.spec);
    assert.ok(kept);
    const images = pictures([24, 24]);
    assert.deepEqual(await vectors(kept, images, 2), await vectors(base, images, 2));
  }
  const any = { base: onnx('torch_any_size.onnx'), preprocess: 'tf' } as const;
  for (const inputSize of [
    [24, 24],
    [32, 41],
  ] as const) {
    const base = await openBase({ ...any, inputSize });
    await keepBase(cache, base);
    const kept = (await keptBase(cache, base.spec)) as Base;
    const images = pictures(inputSize);
    assert.deepEqual(await vectors(kept, images, 2), await vectors(base, images, 2), 'kept once for all input sizes');
  }
  const base = await openBase(optionsOf('one_row.onnx', expected['one_row.onnx'] as Expected));
  for (const name of readdirSync(path.join(cache, 'bases'))) {
    const file = path.join(cache, 'bases', name, 'model.onnx');
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x40;
    writeFileSync(file, bytes);
  }
  await assert.rejects(keptBase(cache, base.spec), /is damaged .* delete that folder and run features again/);
});

test('a Keras base compiled to ONNX is a base again, with the same vectors, whatever its tensors are called', async () => {
  const keras = await openBase({ base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' });
  const { graph, outputs } = compile(layerGraph(keras));
  const other = (name: string): string => (name === 'images' ? 'picture' : name === outputs[0]?.name ? 'images' : name);
  const renamed = {
    ...graph,
    nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(other), outputs: node.outputs.map(other) })),
    inputs: graph.inputs.map((one) => ({ ...one, name: other(one.name) })),
    outputs: graph.outputs.map((one) => ({ ...one, name: other(one.name) })),
  };
  const images = pictures([20, 18]);
  const wanted = await vectors(keras, images, 2);
  for (const [i, one] of [graph, renamed].entries()) {
    const file = path.join(folder, `compiled${i}.onnx`);
    writeFileSync(file, writeModel(one));
    const base = await openBase({ base: file, preprocess: 'tf' });
    const got = await vectors(base, images, 2);
    assertRelativelyClose(got, wanted, 1e-5);
  }
});

test('an engine that runs layer graphs only says so, and so does what needs layers', async () => {
  const base = await openBase({ base: onnx('torch_17_open.onnx'), preprocess: 'torch' });
  const engine = { name: 'tensorflow' as const, version: '0', load: onnxEngine.load };
  await assert.rejects(loadBase(base, engine, { input: 'uint8' }), (error: Error) => {
    return (
      error instanceof EngineError && /tensorflow engine does not run ONNX models .* --engine onnx/.test(error.message)
    );
  });
  assert.throws(() => layerGraph(base), /is an ONNX model, which has no Keras layers/);
});

describe('ONNX files that are refused, each with its reason', () => {
  const refused: [string, RegExp][] = [
    ['two_inputs', /takes 2 inputs \(x, z\): a base must take one image/],
    ['two_outputs', /has 2 outputs \(y, z\): give --layer .* for example one of y, c/],
    ['domain', /onnxruntime cannot run it, so export it again: .*com\.example/],
    ['opset', /onnxruntime cannot run it, so export it again: .*999/],
    ['operator', /onnxruntime cannot run it, so export it again: .*Frobnicate/],
    ['control_flow', /node choice \(If\) is control flow/],
    ['random', /node noise \(RandomNormalLike\) draws random values/],
    ['bomb', /tensor d\d+ would hold .* absurd/],
    ['cycle', /depends on itself/],
    ['dangling', /takes the tensor nowhere, which nothing gives/],
    ['duplicate', /two nodes give the tensor y/],
    ['vector_in', /give a model that takes an image/],
    ['no_channels', /does not tell where the channels stand/],
    ['open_size', /leaves its size open \(n, 3, h, w\): give --input-size/],
    ['nan', /tensor k holds values that are not finite/],
    ['sigmoid', /last feature tensor cannot be told .* give --layer/],
    ['external_traversal', /outside the folder of the model/],
    ['external_absolute', /outside the folder of the model/],
    ['external_address', /outside the folder of the model/],
    ['external_missing', /nothing\.data, does not exist/],
    ['external_short', /needs bytes 100000000 to 100000432 .* cut off/],
    ['external_wrong_length', /has 8 bytes of data, expected 432/],
  ];
  for (const [name, message] of refused) {
    test(name, async () => {
      await assert.rejects(openBase({ base: onnx(`bad_${name}.onnx`), preprocess: 'none' }), (error: Error) => {
        assert.ok(error instanceof ModelError || error instanceof UsageError, error.stack);
        assert.match(error.message, message);
        assert.match(error.message, /bad_\w+\.onnx: /);
        assertRefusal(error);
        return true;
      });
    });
  }

  test('every fixture of that kind is tried', () => {
    const files = readdirSync(fixture('onnx')).filter((name) => name.startsWith('bad_'));
    assert.deepEqual(files.sort(), refused.map(([name]) => `bad_${name}.onnx`).sort());
  });

  test('a link that leads out of the folder', async () => {
    copyFileSync(onnx('external.onnx'), path.join(folder, 'external.onnx'));
    symlinkSync(onnx('external.data'), path.join(folder, 'external.data'));
    const open = openBase({ base: path.join(folder, 'external.onnx'), preprocess: 'none' });
    await assert.rejects(open, /"external\.data", outside the folder of the model/);
  });

  test('a file cut anywhere, or with any byte changed, is an error of one line or opens; it never throws anything else', async () => {
    const whole = readFileSync(onnx('keras_nhwc.onnx'));
    let refusals = 0;
    for (let at = 0; at < whole.length; at += 13) {
      for (const bytes of [
        whole.subarray(0, at),
        Buffer.from(whole).fill(whole.readUInt8(at) ^ (1 << (at % 8)), at, at + 1),
      ]) {
        const file = path.join(folder, 'broken.onnx');
        writeFileSync(file, bytes);
        await openBase({ base: file, preprocess: 'tf' }).catch((error: unknown) => {
          assertRefusal(error);
          refusals++;
        });
      }
    }
    assert.ok(refusals > 100, `${refusals}`);
  });

  test('not there, empty, something else', async () => {
    const open = (file: string) => openBase({ base: file, preprocess: 'tf' });
    await assert.rejects(open(path.join(folder, 'none.onnx')), /none\.onnx: it does not exist/);
    writeFileSync(path.join(folder, 'empty.onnx'), '');
    await assert.rejects(open(path.join(folder, 'empty.onnx')), /it is empty: copy or export/);
    cpSync(fixture('keras/tiny.h5'), path.join(folder, 'keras.onnx'));
    await assert.rejects(open(path.join(folder, 'keras.onnx')), /cannot be read as a protocol buffer|no ONNX model/);
  });

  test('a tap that is not there or of probabilities; sizes that do not fit; no preprocessing', async () => {
    const base = onnx('keras_nhwc.onnx');
    await assert.rejects(
      openBase({ base, preprocess: 'tf', layer: 'map' }),
      /no tensor or node "map": did you mean .*maps/,
    );
    await assert.rejects(
      openBase({ base, preprocess: 'tf', layer: 'classes' }),
      /holds probabilities \(Softmax\).* --layer a/,
    );
    await assert.rejects(
      openBase({ base }),
      (error: Error) => error instanceof UsageError && /--preprocess tf/.test(error.message),
    );
    const sized = openBase({ base: onnx('one_row.onnx'), preprocess: 'tf', inputSize: [48, 48], layer: 'y' });
    await assert.rejects(sized, /one_row\.onnx: onnxruntime cannot run it at --input-size 48x48, so give another: /);
  });
});
