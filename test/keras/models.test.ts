import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { openBase } from '../../src/base/index.js';
import { ModelError } from '../../src/errors.js';
import { inferShapes } from '../../src/graph/infer.js';
import { graphFromConfig, readModel } from '../../src/keras/index.js';
import { IDLE } from '../../src/keras/layers.js';
import { type ConformanceCase, conforms, engines } from '../helpers/conformance.js';
import { fixture, root } from '../helpers/fixtures.js';
import { assertRefusal } from '../helpers/refusals.js';

interface Facts {
  input: string;
  shape: number[];
  idle?: string[];
  models: Record<string, { layer?: string | null; files?: string[]; output: string; shape: number[] }>;
}

const facts = (name: string) => JSON.parse(readFileSync(fixture(`models/${name}.json`), 'utf8')) as Facts;
const floats = (packed: string): Float32Array => {
  const bytes = Buffer.from(packed, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

/** How far a model that Keras computes in less than float32 may be from what is computed in it, of the largest value. */
const ROUNDED: Readonly<Record<string, number>> = { mixed_float16: 5e-3, float16: 5e-3, bfloat16: 3e-2 };

/** Every file of a kind of models, with what Keras gives. */
function cases(kind: 'keras2' | 'keras3') {
  const { input, models } = facts(kind);
  return Object.entries(models).flatMap(([name, { layer, files = ['h5'], output, shape }]) =>
    files.map((ending) => {
      const file = fixture(`models/${kind}_${name}.${ending}`);
      const expected = floats(output);
      const max = Math.max(...expected.map(Math.abs));
      const mean = expected.reduce((a, b) => a + b, 0) / expected.length;
      return {
        name: `${name}.${ending}`,
        file,
        layer,
        images: () => floats(input),
        n: 2,
        expected,
        max,
        mean,
        shape,
        limit: (ROUNDED[name] ?? 1e-5) * Math.max(max, 1),
      };
    }),
  );
}

for (const [kind, what] of [
  ['keras2', 'Keras 2.15, TFOpLambda and SlicingOpLambda among its layers'],
  ['keras3', 'Keras 3.15'],
] as const) {
  for (const engine of await engines()) {
    describe(`models of ${what}, give what it gives: ${engine.name} ${engine.version}`, () => {
      for (const each of cases(kind)) {
        test(each.name, async () => {
          const graph = await readModel(each.file, each.layer ?? undefined);
          await conforms(engine, { ...each, graph: () => graph } satisfies ConformanceCase);
        });
      }
    });
  }
}

describe('models of other kinds are refused by the name of their format, with the command that converts them', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
  after(() => rmSync(folder, { recursive: true }));
  const layer = (class_name: string, extra: object = {}) => ({
    class_name: 'Sequential',
    config: {
      layers: [
        { class_name: 'InputLayer', config: { name: 'in', batch_shape: [null, 8, 8, 3] } },
        { class_name, config: { name: 'it' }, ...extra },
      ],
    },
  });
  const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:abf8\nsize 312239964\n';
  const cases: [string, string | Buffer, RegExp][] = [
    [
      'm.tflite',
      Buffer.from('1c00000054464c33', 'hex'),
      /is a TensorFlow Lite model, .*python -m tf2onnx\.convert --tflite \S*m\.tflite --output model\.onnx/,
    ],
    ['lite.bin', Buffer.from('1c00000054464c33', 'hex'), /is a TensorFlow Lite model/],
    ['m.pt', 'PK', /is a PyTorch model, .*torch\.onnx\.export/],
    ['m.pth', 'PK', /is a PyTorch model/],
    ['m.safetensors', '{}', /is safetensors, which hold weights .*optimum-cli export onnx --model/],
    ['graph.pb', 'x', /is a graph of TensorFlow, .*--graphdef \S*graph\.pb/],
    ['saved/saved_model.pb', 'x', /is a graph of TensorFlow, .*--saved-model \S*saved --output/],
    ['lfs.keras', POINTER, /lfs\.keras is a pointer of Git LFS .*git lfs pull/],
    ['lfs.h5', POINTER, /lfs\.h5 is a pointer of Git LFS/],
    ['lfs.onnx', POINTER, /lfs\.onnx: it is a pointer of Git LFS/],
    ['saved', '', /saved is TensorFlow's SavedModel, .*--saved-model \S*saved --output/],
    ['hf/model.safetensors', '{}', /--model \S*hf exported/],
    ['hf', '', /hf is a model of Hugging Face, .*--model \S*hf exported/],
    ['empty', '', /empty is a folder without a model\.json: give a model file/],
    [
      'lambda.json',
      JSON.stringify({ modelTopology: layer('Lambda'), weightsManifest: [] }),
      /layer it \(Lambda\): the class Lambda is not supported.*use the Keras model that it was made from/,
    ],
  ];
  mkdirSync(path.join(folder, 'saved'));
  mkdirSync(path.join(folder, 'hf'));
  mkdirSync(path.join(folder, 'empty'));
  for (const [name, content, message] of cases) {
    test(name, async () => {
      if (content !== '') writeFileSync(path.join(folder, name), content);
      await assert.rejects(openBase({ base: path.join(folder, name), preprocess: 'tf' }), (error: Error) => {
        assert.ok(error instanceof ModelError, error.stack);
        assertRefusal(error);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test('every class that the page of bases lists as refused is, by its name', () => {
    const page = readFileSync(path.join(root, 'docs/bases.md'), 'utf8');
    const row = page.split('\n').find((line) => line.startsWith('| recurrent layers')) ?? '';
    const names = [...row.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
    assert.ok(names.length >= 12 && names.includes('AutoContrast'), row);
    for (const name of names) {
      assert.throws(
        () => graphFromConfig(layer(name), 'm.h5'),
        new RegExp(
          `^ModelError: m\\.h5: layer it \\(${name}\\): the class ${name} is not supported: tap a layer before`,
        ),
      );
    }
  });

  test('layers of foreign code: the commands load it', () => {
    const read = (config: object) => () => graphFromConfig(config, 'm.h5');
    assert.throws(
      read(layer('Lambda')),
      /class Lambda is not supported: .*load_model\('m\.h5', compile=False, safe_mode=False\)\.export/,
    );
    assert.throws(read(layer('KerasLayer')), /KerasLayer.* hub\.KerasLayer.*python -m tf2onnx\.convert --saved-model/);
  });
});

describe('what a model says of itself', () => {
  const open = async (file: string, options: object = {}) => {
    const notes: string[] = [];
    const base = await openBase(
      { base: fixture(`models/${file}`), ...options },
      { onWarning: (note) => notes.push(note) },
    );
    return { base, notes };
  };

  for (const file of [
    'keras3_guide_order.keras',
    'keras3_guide_order.h5',
    'keras3_all_idle.keras',
    'keras2_guide.h5',
    'keras2_caffe.h5',
    'keras2_torch.h5',
    'keras3_caffe.keras',
    'keras3_torch.h5',
    'keras3_resized.h5',
  ]) {
    test(`${file} scales its pixels itself: preprocessing is none, and another is noted`, async () => {
      const own = await open(file);
      assert.equal(own.base.spec.preprocess, 'none');
      assert.deepEqual(own.notes, []);
      const given = await open(file, { preprocess: 'tf' });
      assert.equal(given.base.spec.preprocess, 'tf');
      assert.match(
        given.notes.join(),
        /scales its pixels itself, in its own first layers: --preprocess tf does so once more/,
      );
    });
  }

  test('one that does not say is asked for, and noted nowhere', async () => {
    await assert.rejects(open('keras3_sequential_of_sequential.keras'), /give --preprocess tf/);
    assert.deepEqual((await open('keras3_sequential_of_sequential.keras', { preprocess: 'tf' })).notes, []);
  });

  test('another precision runs in float32, with a note', async () => {
    for (const policy of ['mixed_float16', 'float16', 'bfloat16']) {
      const { notes } = await open(`keras3_${policy}.keras`);
      assert.match(notes.join(), new RegExp(`policy ${policy}: it runs in float32`));
    }
  });

  test('only what the tap depends on is read strictly', async () => {
    const file = 'keras3_two_inputs_and_lambda.keras';
    const { base } = await open(file, { layer: 'gap' });
    assert.deepEqual(base.spec.input, { height: 24, width: 20, channels: 3 });
    await assert.rejects(open(file), (error: Error) => {
      assert.ok(error instanceof ModelError);
      assert.match(error.message, /layer reshape \(Reshape\)|layer lstm \(LSTM\): the class LSTM is not supported/);
      return /tap a layer before it with --layer, or make an ONNX model of it: python -c "import keras; /.test(
        error.message,
      );
    });
    await assert.rejects(
      open('keras3_two_outputs.h5'),
      /has 2 outputs \(age, sex\): give --layer .*for example gap, age, sex/,
    );
    await assert.rejects(open('keras3_two_outputs.h5', { layer: 'pap' }), /no layer "pap": for example gap, age/);
    assert.equal((await open('keras3_two_outputs.h5', { layer: 'age' })).base.spec.features, 3);
  });

  test('a model within the model is a layer, by its own name', async () => {
    const graph = await readModel(fixture('models/keras3_sequential_base.h5'), 'base');
    assert.equal(graph.output, 'base/project');
    assert.deepEqual(inferShapes(graph).get(graph.output), [11, 9, 8]);
  });

  test('every layer that is taken as idle was seen to be so in Keras', () => {
    const seen = new Set(facts('keras3').idle);
    // of Keras 2, of an application, and for other shapes than a picture's
    const others = ['RandomHeight', 'RandomWidth', 'StochasticDepth', 'SpatialDropout1D', 'SpatialDropout3D'];
    assert.deepEqual(
      IDLE.filter((name) => !seen.has(name) && !others.includes(name)),
      [],
    );
  });
});
