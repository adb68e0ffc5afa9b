import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { compile } from '../../src/engine/onnx/compile.js';
import { ModelError, PermafrostError } from '../../src/errors.js';
import { resize } from '../../src/graph/passes.js';
import { withArchive } from '../../src/keras/archive.js';
import { withHdf5 } from '../../src/keras/hdf5.js';
import { graphFromConfig, loadWeights, randomWeights, readModel } from '../../src/keras/index.js';
import { parseFields } from '../../src/keras/json.js';
import { specsByLayer } from '../../src/keras/weights.js';
import { Random } from '../../src/random.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { assertRefusal } from '../helpers/refusals.js';

/** Refused in one line, in bounded time. */
async function refused(open: () => Promise<unknown>, message: RegExp): Promise<void> {
  const started = performance.now();
  await assert.rejects(open, (error: Error) => {
    assert.ok(error instanceof ModelError, error.stack);
    assertRefusal(error);
    assert.match(error.message, message);
    return true;
  });
  assert.ok(performance.now() - started < 10_000);
}

describe('HDF5 files that name other files, claim too much or link in circles', () => {
  const cases: Record<string, RegExp> = {
    external_layer: /takes data from another file \(.*other\.h5\)/,
    external_weight: /takes data from another file \(.*other\.h5\)/,
    virtual: /takes data from another file \(.*other\.h5\)/,
    storage: /takes data from another file \(.*other\.h5\)/,
    circle: /damaged or cut off/,
    huge_kernel: /has shape \(300, 300, 3, 20000\), more than a file of \d+ bytes can hold/,
    huge_dense: /has shape|would hold|more than/,
    infinite: /layer d: kernel is not finite/,
  };
  for (const [name, message] of Object.entries(cases)) {
    test(name, () => refused(() => readModel(fixture(`hostile/${name}.h5`)), message));
  }

  test('every fixture is tried; the same holds for files of weights', async () => {
    const files = readdirSync(fixture('hostile')).filter((name) => name !== 'other.h5');
    assert.deepEqual(
      files.sort(),
      Object.keys(cases)
        .sort()
        .map((name) => `${name}.h5`),
    );
    const graph = graphFromConfig(
      { class_name: 'Sequential', config: { layers: [input, conv({ use_bias: false })] } },
      'f',
    );
    for (const name of ['external_weight', 'virtual', 'storage']) {
      await refused(() => loadWeights(graph, fixture(`hostile/${name}.h5`)), /takes data from another file/);
    }
  });
});

const input = { class_name: 'InputLayer', config: { name: 'i', batch_input_shape: [null, 8, 8, 3] } };
const conv = (more: object = {}) => ({
  class_name: 'Conv2D',
  config: { name: 'd', filters: 2, kernel_size: [3, 3], ...more },
});

describe('configs of absurd depth, number and order', () => {
  const read = (text: string) => async () => graphFromConfig(parseFields(text, 'f.h5'), 'f.h5');
  const nested = (n: number): string => '['.repeat(n) + ']'.repeat(n);

  test('depth', async () => {
    const million = nested(1_000_000);
    await refused(read(`{"class_name":"Sequential","config":${million}}`), /nests more than 256 deep/);
    const filters = JSON.stringify({ class_name: 'Sequential', config: { layers: [input, conv({ filters: '?' })] } });
    await refused(read(filters.replace('"?"', million)), /nests more than 256 deep/);
    await refused(read(filters.replace('"?"', nested(200))), /filters/);
    let model: object = { class_name: 'Sequential', config: { name: 'm', layers: [input, conv()] } };
    for (let i = 0; i < 40; i++) model = { class_name: 'Sequential', config: { name: 'm', layers: [input, model] } };
    await refused(read(JSON.stringify(model)), /models are nested more than 16 deep/);
  });

  const chain = (names: readonly string[]) =>
    names.map((name, i) => ({
      class_name: 'Activation',
      name,
      config: { name, activation: 'relu' },
      inbound_nodes: [[[names[i - 1] ?? 'i', 0, 0, {}]]],
    }));
  const model = (layers: readonly object[], output: string) => ({
    class_name: 'Model',
    config: {
      layers: [{ ...input, name: 'i', inbound_nodes: [] }, ...layers],
      input_layers: [['i', 0, 0]],
      output_layers: [[output, 0, 0]],
    },
  });

  test('fifteen thousand layers, the last one first, take seconds; more than 20,000 are refused', async () => {
    const names = Array.from({ length: 15_000 }, (_, i) => `a${i}`);
    const started = performance.now();
    const graph = graphFromConfig(model(chain(names).reverse(), 'a14999'), 'f');
    assert.ok(graph.nodes.length === 15_001 && performance.now() - started < 15_000);
    assert.equal(graph.nodes[1]?.name, 'a0');
    const many = Array.from({ length: 20_001 }, (_, i) => `a${i}`);
    await refused(async () => graphFromConfig(model(chain(many), 'a20000'), 'f'), /more than 20000 layers/);
  });

  test('a circle, a layer that takes itself, one name twice, one that is not there', async () => {
    const [a, b] = chain(['a', 'b']) as [object, object];
    const from = (layer: object, name: string) => ({ ...layer, inbound_nodes: [[[name, 0, 0, {}]]] });
    const open =
      (layers: object[], output = 'b') =>
      async () =>
        graphFromConfig(model(layers, output), 'f');
    await refused(open([from(a, 'b'), b]), /layer a takes b, which the model does not compute before it/);
    await refused(open([from(a, 'a')], 'a'), /layer a takes a, which/);
    await refused(open([a, a], 'a'), /two layers are called a/);
    await refused(open([from(a, 'none')], 'a'), /layer a takes none, which/);
    await refused(open([a], 'none'), /the output none is not in the model/);
  });

  test('Lambda and custom layers are named and refused, their code is not looked at', async () => {
    const lambda = {
      class_name: 'Lambda',
      config: { name: 'l', function: ['4wEAAAAAAAAA', null, null], arguments: {} },
    };
    const custom = { class_name: 'Mine', module: 'my.layers', registered_name: 'pkg>Mine', config: { name: 'm' } };
    const open = (layer: object) => async () =>
      graphFromConfig({ class_name: 'Sequential', config: { layers: [input, layer] } }, 'f.h5');
    await refused(open(lambda), /f\.h5: layer l \(Lambda\).*not supported/);
    await refused(open(custom), /f\.h5: layer m \(pkg>Mine\) is not one of Keras's own layers and is not supported/);
  });
});

/** Places of a value, for changing one of them. */
function* places(value: unknown, at: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    yield [...at, key];
    yield* places((value as Record<string, unknown>)[key], [...at, key]);
  }
}

const NASTY: readonly unknown[] = [
  ...[null, {}, [], true, [[]], [1e9, 1e9, 1e9], [null], [0, 0, 0, 0]],
  ...[-1, 0, 1, 1.5, 7, 1e308, 2 ** 24, 2 ** 53],
  ...['x', '', '\0', '__proto__', 'constructor', 'relu', 'channels_first', 'x'.repeat(5000)],
];

/** Configs that Keras 2, Keras 3 and TensorFlow.js wrote. */
async function realConfigs(): Promise<[name: string, config: object, version: string | null][]> {
  const topology = (name: string) => JSON.parse(readFileSync(fixture(`tfjs/${name}`), 'utf8')).modelTopology;
  const found: [string, object, string | null][] = [
    ['tiny.json', topology('tiny.json'), null],
    ['teachable_machine', topology('teachable_machine/model.json'), null],
  ];
  for (const name of readdirSync(fixture('models')).filter((file) => !file.endsWith('.json'))) {
    const file = fixture(`models/${name}`);
    const text = name.endsWith('.h5')
      ? await withHdf5(file, (root) => root.text('model_config'))
      : await withArchive(file, async ({ config }) => config);
    found.push([name, parseFields(text ?? '', name), name.startsWith('keras2') ? '2.15.0' : '3.15.1']);
  }
  return found;
}

/** As far as a model goes before its weights are read, and on to what the engine runs where these are few. */
function open(config: unknown, version: string | null): void {
  const graph = graphFromConfig(config, 'f.h5', version);
  const specs = specsByLayer(graph, ({ name }) => name);
  const values = [...specs.values()].flat().map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  if (values.reduce((a, b) => a + b, 0) < 2000) compile(resize(randomWeights(graph, '1', 'tf'), 32, 32));
}

describe('configs of real models, changed', () => {
  const tried = (config: unknown, version: string | null, what: string): boolean => {
    try {
      open(config, version);
      return false;
    } catch (error) {
      assert.ok(error instanceof PermafrostError, `${what}: ${(error as Error).stack}`);
      const { message } = error;
      if (message.startsWith('f.h5')) assertRefusal(error);
      assert.ok(message.length < 1500 && !message.includes('\n'), `${what}: ${message.slice(0, 200)}`);
      return true;
    }
  };

  test('any value replaced by any other: read or refused in one sentence, never anything else', () => {
    const json = JSON.parse(readFileSync(fixture('tfjs/tiny.json'), 'utf8')).modelTopology;
    let [all, refusals, turn] = [0, 0, 0];
    for (const at of places(json)) {
      for (const value of NASTY) {
        if (!long && ++turn % 3 > 0) continue;
        const changed = structuredClone(json);
        const owner = at.slice(0, -1).reduce((item, key) => item[key], changed);
        owner[at.at(-1) as string] = value;
        all++;
        if (tried(changed, null, `${at.join('.')} = ${JSON.stringify(value)?.slice(0, 40)}`)) refusals++;
      }
    }
    assert.ok(all > 1500 && refusals > all / 4, `${refusals} of ${all}`);
  });

  test('values lost, doubled, replaced or exchanged in every kind of model: the same', async (t) => {
    const random = new Random('configs');
    const configs = (await realConfigs()).map((one) => [...one, [...places(one[1])]] as const);
    let refusals = 0;
    const count = long ? 20_000 : 1000;
    for (let i = 0; i < count; i++) {
      const [name, config, version, where] = configs[i % configs.length] as (typeof configs)[number];
      // biome-ignore lint/suspicious/noExplicitAny: a test changes whatever it likes
      const changed: any = structuredClone(config);
      const faults: string[] = [];
      for (let n = 1 + random.below(2); n > 0; n--) {
        const [at = [], from = []] = [where[random.below(where.length)], where[random.below(where.length)]];
        // biome-ignore lint/suspicious/noExplicitAny: as above
        const find = (path: readonly string[]): any => path.reduce((item, key) => item?.[key], changed);
        const [owner, key] = [find(at.slice(0, -1)), at.at(-1) as string];
        if (typeof owner !== 'object' || owner === null) continue;
        const kind = random.below(4);
        if (kind === 0 && Array.isArray(owner)) owner.splice(Number(key), 1);
        else if (kind === 0) delete owner[key];
        else if (kind === 1 && Array.isArray(owner)) owner.push(structuredClone(owner[Number(key)]));
        else owner[key] = kind === 2 ? structuredClone(find(from)) : NASTY[random.below(NASTY.length)];
        faults.push(
          `${['lost', 'doubled', `from ${from.join('.')}`, JSON.stringify(owner[key])?.slice(0, 40)][kind]} ${at.join('.')}`,
        );
      }
      if (tried(changed, version, `${name}: ${faults.join('; ')}`)) refusals++;
    }
    t.diagnostic(`${refusals} of ${count} refused`);
    assert.ok(refusals > count / 4, `${refusals} of ${count}`);
  });
});
