import { availableParallelism } from 'node:os';
import { runtimeVersion } from '../src/engine/onnx/session.js';
import { Random } from '../src/random.js';
import { initialVariables } from '../src/train/net.js';
import type { PackSpec } from '../src/train/net-spec.js';
import { onnxTrainers } from '../src/train/onnx/trainer.js';
import { startPeer } from './peer.js';
import { median, QUICK, tell } from './tables.js';

/** An epoch of a Dense(1, sigmoid) head, Adam, batch 32, a fresh permutation: Permafrost, PyTorch and Keras in turns. */
const [n, d, batchSize, rounds] = [20_000, 2_048, 32, QUICK ? 2 : 15];
/** Rounds before those that count, in which all that compiles as it runs is compiled. */
const WARM_UP = 3;
const threads = availableParallelism();
const variants = ['fused', 'foreach', 'plain', 'hand'].flatMap((adam) =>
  [...new Set([1, threads])].map((count) => ({ adam, count })),
);

const random = new Random(0);
const x = Float32Array.from({ length: n * d }, () => random.uniform());
const y = Uint8Array.from({ length: n }, () => random.below(2));
const scaling = { mean: new Float32Array(d).fill(0.5), inverse: new Float32Array(d).fill(Math.sqrt(12)) };
const spec: PackSpec = {
  ...{ d, units: 1, hidden: [], activation: 'relu', ending: 'sigmoid', normalize: false, standardize: false },
  ...{ batchNorm: false, dropout: false, optimizer: 'adam', momentum: false, nesterov: false, weightDecay: false },
  ...{ l1: false, l2: false, classWeight: false, labelSmoothing: false },
};
const headOf = (learningRate: number, l2: number) => ({
  ...{ momentum: 0, weightDecay: 0, l1: 0, l2, dropout: 0, labelSmoothing: 0, classWeights: null },
  start: initialVariables(spec, 0),
  learningRate: () => learningRate,
});
const sweep = Array.from({ length: 64 }, (_, i) => headOf(1e-4 * 2 ** (i % 8), 1e-6 * 4 ** Math.floor(i / 8)));
const options = { isMixed: false };
const MANY = 'Permafrost, 64 heads';
const HAND = 'PyTorch, gradient by hand';
const packs = {
  'Permafrost, 1 head': await onnxTrainers.create(spec, [headOf(1e-3, 0)], options),
  'Permafrost, 1 head, standardised': await onnxTrainers.create({ ...spec, standardize: true }, [headOf(1e-3, 0)], {
    ...options,
    scaling,
  }),
  [MANY]: await onnxTrainers.create({ ...spec, l2: true }, sweep, options),
};

const torch = await startPeer('head_epoch', n, d, batchSize);
const keras = await startPeer('head_epoch_keras', n, d, batchSize);

const seconds = new Map<string, number[]>();
const note = (name: string, time: number) => seconds.set(name, [...(seconds.get(name) ?? []), time]);
for (let round = -WARM_UP; round < rounds; round++) {
  for (const [name, pack] of Object.entries(packs)) {
    const began = performance.now();
    const order = random.permutation(n);
    await pack.run({ x, at: order, rows: order }, [y], batchSize);
    if (round >= 0) note(name, (performance.now() - began) / 1000);
  }
  for (const { adam, count } of torch === null ? [] : variants) {
    const time = await torch?.ask(`${adam} ${count}`);
    const what = adam === 'hand' ? HAND : `PyTorch, ${adam} Adam`;
    if (round >= 0) note(`${what}, ${count} thread${count === 1 ? '' : 's'}`, time ?? 0);
  }
  const time = await keras?.ask('fit');
  if (round >= 0 && time !== undefined) note('Keras fit', time);
}
await Promise.all([torch?.end(), keras?.end(), ...Object.values(packs).map((pack) => pack.release())]);

const rows = [...seconds].map(([name, values]) => ({ name, values: values.map((value) => 1000 * value) }));
/** The fastest of PyTorch's, the gradient its own or by hand. */
const best = [false, true].flatMap((byHand) => {
  const peers = rows.filter(({ name }) => name.startsWith('PyTorch') && name.startsWith(HAND) === byHand);
  return peers.length === 0 ? [] : [peers.reduce((a, b) => (median(b.values) < median(a.values) ? b : a)).name];
});
tell({
  title: `An epoch of a head: ${n.toLocaleString('en')} × ${d.toLocaleString('en')}, Adam, batch ${batchSize}`,
  text: 'Dense(1, sigmoid) on vectors in memory, a fresh permutation each epoch; 64 heads train together.',
  ...{ command: 'node dist/bench/head_epoch.js', unit: 'ms', rows },
  over: [...best, 'Keras fit'],
  versions: {
    onnxruntime: runtimeVersion,
    ...(torch === null ? {} : { PyTorch: torch.version }),
    ...(keras === null ? {} : { Keras: keras.version }),
  },
});
