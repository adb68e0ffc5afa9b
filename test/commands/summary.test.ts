import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ModelError, summary } from '../../src/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture, root } from '../helpers/fixtures.js';

/** What Keras printed, a model each, without its name: test/fixtures/make_summary_fixtures.py. */
const printed = readFileSync(fixture('keras/summary.txt'), 'utf8')
  .split(/^Model: .*$/m)
  .slice(1)
  .map((text) => text.trimEnd());

for (const [i, args] of [
  ['--base', 'mobilenet', '--alpha', '0.25', '--include-top', '--input-size', '96x128'],
  ['--base', 'mobilenet-v2', '--alpha', '0.35', '--input-size', '64'],
].entries()) {
  test(`${args[1]} is printed as Keras prints it, every cell`, async () => {
    const { stdout, code } = await permafrost(['summary', ...args], root);
    assert.equal(code, 0);
    const table = stdout
      .replace(/^Model: .*/, '')
      .replace(/\n Multiply-adds: [\d,]+\n Preprocessing: \w+\n To tap: .*\n$/, '');
    // Keras numbers the input layers of a process.
    const named = (text: string) => text.replace(/input_layer(_\d+)?/g, 'input').replace(/ +│/g, ' │');
    assert.deepEqual(named(table).split('\n'), named(printed[i] ?? '').split('\n'));
  });
}

test('parameters of every application are those of Keras', async () => {
  type Facts = Record<string, { top: { params: number } }>;
  const facts = JSON.parse(readFileSync(fixture('keras/applications.json'), 'utf8')) as Facts;
  for (const [title, { top }] of Object.entries(facts)) {
    const [base = '', alpha] = title.split(' ');
    const found = await summary({ base, includeTop: true, ...(alpha ? { alpha: Number(alpha) } : {}) });
    assert.equal(found.params, top.params, title);
  }
});

test('multiply-adds: those of the papers, and layer by layer by hand', async () => {
  const { layers, multiplyAdds } = await summary({ base: 'mobilenet', includeTop: true });
  assert.equal(Math.round(multiplyAdds / 1e6), 569); // Howard et al. 2017, table 4
  const of = (name: string) => layers.find((layer) => layer.name === name)?.multiplyAdds;
  assert.equal(of('conv1'), 112 * 112 * 3 * 3 * 3 * 32);
  assert.equal(of('conv_dw_1'), 112 * 112 * 3 * 3 * 32);
  assert.equal(of('conv1_bn'), 0);
  const xception = (await summary({ base: 'xception' })).layers.find(({ name }) => name === 'block2_sepconv1');
  assert.equal(xception?.multiplyAdds, 147 * 147 * (3 * 3 * 64 + 64 * 128));
});

test('a file with a layer called twice counts it once; the tap cuts', async () => {
  const tiny = fixture('keras/tiny.keras');
  assert.equal((await summary({ base: tiny })).params, 515); // as Keras 3.15 prints it
  assert.equal((await summary({ base: 'vgg16', layer: 'block1_pool' })).layers.at(-1)?.name, 'block1_pool');
  await assert.rejects(summary({ base: './x.onnx' }), ModelError);
});

test('every kind of model file: what can be tapped, what happens to pixels, what is not supported', async () => {
  const found = async (file: string) => {
    const { layers, taps, preprocess, params } = await summary({ base: fixture(file) });
    return { taps, preprocess, params, unknown: layers.filter(({ shape }) => shape === null).map(({ type }) => type) };
  };
  assert.deepEqual(
    await found('models/keras3_two_outputs.h5').then(({ taps, preprocess }) => [taps.slice(0, 3), preprocess]),
    [['gap', 'age', 'sex'], 'none'],
  );
  const lambda = await found('models/keras3_two_inputs_and_lambda.keras');
  assert.equal(lambda.taps[0], 'gap');
  const classifier = await found('keras/tiny.keras');
  assert.ok(classifier.taps.length === 5 && !classifier.taps.includes('classes'), 'probabilities are no features');
  assert.ok(lambda.unknown.includes('Lambda') && lambda.unknown.includes('LSTM'));
  assert.equal((await found('models/keras2_guide.h5')).preprocess, 'none');
  assert.equal((await found('tfjs/tiny.json')).preprocess, null);
  assert.equal((await summary({ base: fixture('tfjs/teachable_machine') })).preprocess, 'tf');
  const onnx = await summary({ base: fixture('onnx/end_squeezenet.onnx') });
  assert.deepEqual(
    [onnx.taps[0], onnx.params, onnx.layers.map(({ type }) => type).slice(0, 2)],
    ['features', 16 * 27 + 160, ['Conv', 'Relu']],
  );
  assert.deepEqual(onnx.layers[0]?.shape, [16, 30, 30]);
  assert.equal(onnx.layers[0]?.multiplyAdds, 16 * 27 * 30 * 30);
});

test('what is being read is told', async () => {
  const steps: string[] = [];
  await summary({ base: fixture('keras/tiny.keras'), onStep: (what) => steps.push(what) });
  assert.deepEqual(steps, [`reading ${fixture('keras/tiny.keras')}`]);
});
