import assert from 'node:assert/strict';
import { test } from 'node:test';
import { floatProgram, openBase } from '../../src/base/index.js';
import type { OnnxProgram } from '../../src/engine/engine.js';
import { Nodes, value } from '../../src/formats/onnx/nodes.js';
import { floats, type OnnxNode, type OnnxTensor, OWN_IMPORTS } from '../../src/formats/onnx/write.js';
import { vectorsOf } from '../../src/quantize/fidelity.js';
import { quantized, type Recipe, scaleOf } from '../../src/quantize/graph.js';
import { type Batch, observe } from '../../src/quantize/observe.js';
import { stepsOf } from '../../src/quantize/steps.js';
import { widened } from '../../src/quantize/widen.js';
import { Random } from '../../src/random.js';

const SIDE = 9;

/** Layers that follow one another; weights are drawn. */
class Net {
  private readonly nodes = new Nodes();
  private readonly tensors: OnnxTensor[] = [];
  private readonly random = new Random('widen');

  add(op: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}, output?: string): string {
    return this.nodes.add(op, inputs, attributes, output);
  }

  conv(x: string, [out, into, side]: readonly [number, number, number], group = 1, output?: string): string {
    const name = `w${this.tensors.length}`;
    const draw = (size: number) =>
      Float32Array.from({ length: size }, () => this.random.normal() / Math.sqrt(into * side));
    this.tensors.push(floats(name, [out, into, side, side], draw(out * into * side * side)));
    this.tensors.push(floats(`${name}b`, [out], draw(out)));
    const pad = (side - 1) / 2;
    const attributes = { group: { i: group }, pads: [pad, pad, pad, pad] };
    return this.add('Conv', [x, name, `${name}b`], attributes, output);
  }

  separable(x: string, from: number, to: number): string {
    return this.conv(this.conv(x, [from, 1, 3], from), [to, from, 1]);
  }

  vectors(x: string): OnnxProgram {
    this.add('Flatten', [this.add('GlobalAveragePool', [x])], {}, 'vectors');
    return this.program({ name: 'vectors', dims: ['n', 'd'] });
  }

  program(output: { name: string; dims: readonly string[] }): OnnxProgram {
    return {
      graph: {
        name: 'net',
        nodes: this.nodes.for([output.name]),
        initializers: this.tensors,
        inputs: [value('images', ['n', 3, SIDE, SIDE])],
        outputs: [value(output.name, output.dims)],
      },
      imports: OWN_IMPORTS,
      batched: true,
    };
  }
}

const random = new Random('pictures');
const pictures = (n: number, size: number): Batch => ({
  data: Float32Array.from({ length: n * size }, () => random.uniform() * 2 - 1),
  n,
});

/** The int8 graph of a float program, by ranges that pictures have; the layers of these numbers are left in float. */
async function int8Of(program: OnnxProgram, images: readonly Batch[], float: readonly number[] = []) {
  const steps = stepsOf(program);
  const { ranges } = await observe(steps, images);
  const scales = ranges.map(({ min, max }) => scaleOf(min, max));
  const recipe: Recipe = { weightBits: 7, scales, biases: steps.layers.map(() => null), float };
  return quantized(steps, recipe).program;
}

const groupsOf = ({ nodes }: OnnxProgram['graph']): number[] =>
  nodes.flatMap(({ attributes }) => {
    const group = (attributes?.group as { i: number } | undefined)?.i ?? 1;
    return group > 1 ? [group] : [];
  });

test('depthwise convolutions get channels in multiples of 16, and the vectors stay the same to the bit', async () => {
  const net = new Net();
  const stem = net.add('Relu', [net.conv('images', [28, 3, 3])]);
  const body = net.separable(net.add('Relu', [net.separable(stem, 28, 28)]), 28, 28);
  const sum = net.add('Add', [body, stem]);
  const pooled = net.add('MaxPool', [sum], { kernel_shape: [2, 2], strides: [2, 2] });
  const gate = net.add('Sigmoid', [net.conv(net.add('GlobalAveragePool', [pooled]), [28, 28, 1])]);
  const program = net.vectors(net.separable(net.add('Mul', [pooled, gate]), 28, 7));
  const images = [pictures(3, 3 * SIDE * SIDE), pictures(1, 3 * SIDE * SIDE)];
  const int8 = await int8Of(program, images);
  const wide = { ...int8, graph: widened(int8.graph) };
  assert.deepEqual(groupsOf(int8.graph), [28, 28, 28]);
  assert.deepEqual(groupsOf(wide.graph), [32, 32, 32]);
  for (const optimize of [true, false]) {
    const expected = await vectorsOf(int8, images, { optimize });
    assert.ok(expected.some((vector) => vector.some((one) => one !== expected[0]?.[0])));
    assert.deepEqual(await vectorsOf(wide, images, { optimize }), expected);
  }
});

test('what sees channels beside each other, or is little, keeps those that it has', async () => {
  const stem = (net: Net, channels: number) => net.add('Relu', [net.conv('images', [channels, 3, 3])]);
  const kept: Record<string, (net: Net) => OnnxProgram> = {
    'a concatenation': (net) => {
      const x = stem(net, 28);
      return net.vectors(net.conv(net.add('Concat', [x, net.conv(x, [28, 1, 3], 28)], { axis: { i: 1 } }), [7, 56, 1]));
    },
    'the output': (net) => net.vectors(net.conv(stem(net, 28), [28, 1, 3], 28)),
    'a sum with a value a channel': (net) => {
      const x = net.conv(stem(net, 28), [28, 1, 3], 28);
      return net.vectors(net.conv(net.add('Mul', [x, net.conv(x, [1, 28, 1])]), [7, 28, 1]));
    },
    'groups of several': (net) =>
      net.vectors(net.conv(net.conv(net.separable(stem(net, 28), 28, 28), [28, 2, 3], 14), [7, 28, 1])),
    'twenty channels, which would be 32': (net) => net.vectors(net.separable(stem(net, 20), 20, 7)),
    'no depthwise convolution': (net) => net.vectors(net.conv(stem(net, 28), [7, 28, 1])),
  };
  const images = [pictures(2, 3 * SIDE * SIDE)];
  for (const [what, make] of Object.entries(kept)) {
    const { graph } = await int8Of(make(new Net()), images);
    const made = widened(graph);
    const dims = ({ initializers }: typeof graph) => initializers.map((tensor) => tensor.dims);
    if (what === 'groups of several') assert.deepEqual(groupsOf(made), [32, 14], what);
    else assert.deepEqual([groupsOf(made), dims(made)], [groupsOf(graph), dims(graph)], what);
    assert.deepEqual(
      await vectorsOf({ graph: made, imports: OWN_IMPORTS, batched: true }, images),
      await vectorsOf({ graph, imports: OWN_IMPORTS, batched: true }, images),
      what,
    );
  }
});

test('next to a layer that is left in float nothing is widened', async () => {
  const net = new Net();
  const x = net.separable(net.add('Relu', [net.conv('images', [28, 3, 3])]), 28, 24);
  const program = net.vectors(net.separable(x, 24, 7));
  const images = [pictures(2, 3 * SIDE * SIDE)];
  assert.deepEqual(groupsOf(widened((await int8Of(program, images)).graph)), [32, 24]);
  assert.deepEqual(groupsOf(widened((await int8Of(program, images, [0])).graph)), [28, 24]);
});

test('the middle of Xception is widened, and nothing else of it', async () => {
  const base = await openBase({ base: 'xception', weights: 'random:0', inputSize: [71, 71] });
  const program = floatProgram(base, 'uint8');
  const pixels = new Random('pixels');
  const images = [{ data: Uint8Array.from({ length: 2 * 71 * 71 * 3 }, () => pixels.below(256)), n: 2 }];
  const int8 = await int8Of(program, images);
  const wide = { ...int8, graph: widened(int8.graph) };
  assert.deepEqual(
    groupsOf(wide.graph),
    groupsOf(int8.graph).map((group) => (group === 728 ? 736 : group)),
  );
  assert.equal(groupsOf(wide.graph).filter((group) => group === 736).length, 27);
  assert.deepEqual(await vectorsOf(wide, images), await vectorsOf(int8, images));
});
