import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEngine } from '../../src/engine/index.js';
import type { Graph, Op, Tensor } from '../../src/graph/graph.js';
import { inferShapes } from '../../src/graph/infer.js';
import { spacingOf } from '../../src/graph/spacing.js';

const HEIGHT = 64;
const WIDTH = 61;

/** A kernel that gives the mean of what it sees. */
const mean = (height: number, width = height): Tensor => ({
  shape: [height, width, 1, 1],
  data: new Float32Array(height * width).fill(1 / (height * width)),
});
const convolution = (kernel: number, stride: number, padding: 'same' | 'valid', dilation = 1): [Op, Tensor[]] => [
  {
    ...{
      kind: 'DepthwiseConv2D',
      depthMultiplier: 1,
      kernelSize: [kernel, kernel],
      strides: [stride, stride],
      padding,
    },
    ...{ dilation: [dilation, dilation], useBias: false, activation: 'linear' },
  },
  [mean(kernel)],
];
const pooling = (size: number, stride: number, padding: 'same' | 'valid'): [Op, Tensor[]] => [
  { kind: 'AveragePooling2D', poolSize: [size, size], strides: [stride, stride], padding },
  [],
];
const chain = (...ops: readonly [Op, Tensor[]][]): Graph => ({
  input: 'in',
  output: `n${ops.length - 1}`,
  nodes: [
    { name: 'in', op: { kind: 'InputLayer', shape: [HEIGHT, WIDTH, 1] }, inputs: [], weights: [] },
    ...ops.map(([op, weights], i) => ({ name: `n${i}`, op, inputs: [i === 0 ? 'in' : `n${i - 1}`], weights })),
  ],
});

/** A picture whose pixels are their own places: where a mean of some is, there is their middle. */
async function seen(graph: Graph, axis: 0 | 1): Promise<Float32Array> {
  const picture = Float32Array.from({ length: HEIGHT * WIDTH }, (_, i) =>
    axis === 0 ? Math.floor(i / WIDTH) + 0.5 : (i % WIDTH) + 0.5,
  );
  const runner = await (await openEngine({})).load(graph, { input: 'float32' });
  const [values] = await runner.run(picture, 1);
  await runner.release();
  return values as Float32Array;
}

const margins = (a: number, b: number): Op => ({
  kind: 'ZeroPadding2D',
  margins: [
    [a, b],
    [b, a],
  ],
});
for (const [what, graph] of [
  ['a window', chain(convolution(3, 1, 'valid'))],
  ['same at stride 2, of even and odd sizes', chain(convolution(3, 2, 'same'), convolution(3, 2, 'same'))],
  ['dilation', chain(convolution(3, 1, 'same', 2), convolution(5, 2, 'valid'))],
  ['padding on one side', chain([margins(0, 1), []], convolution(3, 2, 'valid'))],
  ['padding on both, as ResNet', chain([margins(3, 3), []], convolution(7, 2, 'valid'), convolution(1, 2, 'same'))],
  ['pooling', chain(pooling(3, 2, 'same'), pooling(2, 2, 'valid'))],
  [
    'enlarging',
    chain(convolution(3, 2, 'same'), [{ kind: 'UpSampling2D', size: [2, 2], interpolation: 'bilinear' }, []]),
  ],
  [
    'cropping',
    chain(pooling(2, 2, 'valid'), [
      {
        kind: 'Cropping2D',
        margins: [
          [2, 1],
          [1, 3],
        ],
      },
      [],
    ]),
  ],
] as const satisfies readonly (readonly [string, Graph])[]) {
  test(`positions lie where they see: ${what}`, async () => {
    const spacing = spacingOf(graph);
    assert.ok(spacing);
    const [rows = 0, columns = 0] = inferShapes(graph).get(graph.output) as number[];
    for (const axis of [0, 1] as const) {
      const values = await seen(graph, axis);
      const middle = { y: Math.floor(rows / 2), x: Math.floor(columns / 2) }; // whose windows meet no edge
      const found = values[middle.y * columns + middle.x] as number;
      const next = values[
        axis === 0 ? (middle.y + 1) * columns + middle.x : middle.y * columns + middle.x + 1
      ] as number;
      const { first, step } = spacing[axis];
      assert.ok(Math.abs(first + step * (axis === 0 ? middle.y : middle.x) - found) < 1e-3, `${found}`);
      assert.ok(Math.abs(next - found - step) < 1e-3, `${next - found}`);
    }
  });
}

test('what moves pixels about has no places', () => {
  const moved = chain(pooling(2, 2, 'valid'), [{ kind: 'Permute', dims: [2, 1, 3] }, []]);
  assert.equal(spacingOf(moved), null);
});
