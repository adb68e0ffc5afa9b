import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import ort from '../../src/engine/onnx/runtime.js';
import { createSession } from '../../src/engine/onnx/session.js';
import { floats, int64s } from '../../src/formats/onnx/write.js';
import { Random } from '../../src/random.js';
import { long } from '../helpers/long.js';
import { type Chain, chainOf } from '../helpers/operator-chains.js';
import { STEPS } from '../helpers/operator-steps.js';

/** Of the largest value: what reordered sums of float32 may differ by. */
const TOLERANCE = 2e-4;
/** Turns a last bit into a whole step of its scale: nothing but values that no optimizer touched go into it. */
const ROUGH = 'quantized and back';

async function run({ graph, imports, dims, images }: Chain, optimize: boolean): Promise<Float32Array> {
  const session = await createSession(graph, { imports, optimize, threads: 1 });
  try {
    const outputs = await session.run({ x: new ort.Tensor('float32', images, dims) });
    return Object.values(outputs)[0]?.data as Float32Array;
  } finally {
    await session.release();
  }
}

/** The largest difference that the optimizer makes, over the largest value. */
async function difference(chain: Chain): Promise<number> {
  const [plain, optimized] = [await run(chain, false), await run(chain, true)];
  assert.equal(optimized.length, plain.length);
  let worst = 0;
  let largest = 1e-6;
  for (const [i, value] of plain.entries()) {
    largest = Math.max(largest, Math.abs(value));
    worst = Math.max(worst, Math.abs(value - (optimized[i] ?? Number.NaN)));
  }
  return worst / largest;
}

describe('the optimizer of onnxruntime changes no result', () => {
  const names = Object.keys(STEPS);

  test('of any two operators one after the other, and of a third between or behind some', async () => {
    const random = new Random('chains');
    const wrong: string[] = [];
    let tried = 0;
    const third = (): string => names[random.below(names.length)] as string;
    for (const first of names) {
      for (const second of names) {
        for (let round = 0; round < (long ? 12 : 1); round++) {
          const steps =
            round === 0
              ? [first, second]
              : [
                  [first, second, third()],
                  [first, third(), second],
                ][round % 2];
          if (steps?.slice(1).includes(ROUGH)) continue;
          const chain = chainOf(steps as string[], `${first} ${second} ${round}`);
          if (chain === null) continue;
          tried++;
          const worst = await difference(chain).catch((error: Error) => error.message);
          if (typeof worst === 'string' || !(worst <= TOLERANCE)) wrong.push(`${chain.name}: ${worst}`);
        }
      }
    }
    assert.ok(tried > 2500, `${tried} chains`);
    assert.deepEqual(wrong, []);
  });

  test('a padding with zeros before max pooling counts as zeros, before average pooling as pixels', async () => {
    const pooled = async (op: 'MaxPool' | 'AveragePool', margin: number): Promise<number[]> => {
      const nodes = [
        { op: 'Neg', inputs: ['x'], outputs: ['negative'] },
        { op: 'Pad', inputs: ['negative', 'margins'], outputs: ['padded'] },
        {
          op,
          inputs: ['padded'],
          outputs: ['y'],
          attributes: { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] },
        },
      ];
      const chain: Chain = {
        name: op,
        graph: {
          name: 'pads',
          nodes,
          initializers: [int64s('margins', [0, 0, margin, margin, 0, 0, margin, margin])],
          inputs: [{ name: 'x', type: 'float', dims: [1, 1, 2, 2] }],
          outputs: [{ name: 'y', dims: [] }],
        },
        imports: { ir: 8, opsets: { '': 17 } },
        dims: [1, 1, 2, 2],
        images: Float32Array.of(1, 2, 3, 4),
      };
      return Array.from(await run(chain, true));
    };
    assert.deepEqual(await pooled('MaxPool', 1), [0, 0, 0, 0]);
    assert.deepEqual(await pooled('AveragePool', 1), [-0.25, -0.5, -0.75, -1]);
    assert.deepEqual(await pooled('MaxPool', 2), [0, 0, 0, 0, -1, 0, 0, 0, 0], 'a margin as wide as the window');
  });

  test('weights that a quantized model holds in float32 are not rounded', async () => {
    const random = new Random('quantized');
    const zero = { name: 'zero', type: 'uint8', dims: [], raw: Uint8Array.of(128) } as const;
    const through = (from: string, to: string) => [
      { op: 'QuantizeLinear', inputs: [from, 'scale', 'zero'], outputs: [`${to} bytes`] },
      { op: 'DequantizeLinear', inputs: [`${to} bytes`, 'scale', 'zero'], outputs: [to] },
    ];
    const normal = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
    const chain: Chain = {
      name: 'quantized',
      graph: {
        name: 'quantized',
        nodes: [
          ...through('x', 'a'),
          { op: 'Conv', inputs: ['a', 'kernel'], outputs: ['b'], attributes: { kernel_shape: [3, 3] } },
          ...through('b', 'y'),
        ],
        initializers: [
          floats('scale', [], [1 / 1024]),
          zero,
          floats(
            'kernel',
            [4, 3, 3, 3],
            normal(108).map((v) => v / 100),
          ),
        ],
        inputs: [{ name: 'x', type: 'float', dims: [1, 3, 9, 9] }],
        outputs: [{ name: 'y', dims: [] }],
      },
      imports: { ir: 8, opsets: { '': 17 } },
      dims: [1, 3, 9, 9],
      images: normal(243).map((v) => v / 20),
    };
    assert.ok((await difference(chain)) <= 0.02, 'one step of the scale at most');
  });
});
