import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runtimeVersion } from '../src/engine/onnx/session.js';
import { Random } from '../src/random.js';
import { initialVariables } from '../src/train/net.js';
import type { PackSpec } from '../src/train/net-spec.js';
import { OnnxTrainer } from '../src/train/onnx/trainer.js';

/** An epoch of a Dense(1, sigmoid) head, Adam, batch 32, a fresh permutation: Permafrost, PyTorch and Keras in turns. */
const [n, d, batchSize, rounds] = [20_000, 2_048, 32, 7];
const threads = availableParallelism();
const variants = ['fused', 'foreach', 'plain'].flatMap((adam) =>
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
const packs = {
  'permafrost, 1 head': await OnnxTrainer.create(spec, [headOf(1e-3, 0)]),
  'permafrost, 1 head, standardised': await OnnxTrainer.create(
    { ...spec, standardize: true },
    [headOf(1e-3, 0)],
    scaling,
  ),
  'permafrost, 64 heads': await OnnxTrainer.create({ ...spec, l2: true }, sweep),
};

const python = process.env.PYTHON ?? 'python3';

/** Starts a peer that writes its version, then the seconds of an epoch for every line it reads. */
async function peer(name: string) {
  const script = fileURLToPath(new URL(`../../bench/${name}.py`, import.meta.url));
  const child = spawn(python, [script, n, d, batchSize].map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
  child.on('error', (error) => {
    console.error(`${python} could not be started (${error.message}): set PYTHON to one with bench/requirements.txt`);
    process.exit(1);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: version, done } = await lines.next();
  if (done) process.exit(1);
  return {
    version,
    async epoch(variant: string): Promise<number> {
      child.stdin.write(`${variant}\n`);
      return Number((await lines.next()).value);
    },
    async end(): Promise<void> {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}
const torch = await peer('head_epoch');
const keras = await peer('head_epoch_keras');

const seconds = new Map<string, number[]>();
const note = (name: string, time: number) => seconds.set(name, [...(seconds.get(name) ?? []), time]);
for (let round = 0; round <= rounds; round++) {
  for (const [name, pack] of Object.entries(packs)) {
    const began = performance.now();
    const order = random.permutation(n);
    await pack.run({ x, at: order, rows: order }, [y], batchSize);
    if (round > 0) note(name, (performance.now() - began) / 1000);
  }
  for (const { adam, count } of variants) {
    const time = await torch.epoch(`${adam} ${count}`);
    if (round > 0) note(`pytorch, ${adam} Adam, ${count} thread${count === 1 ? '' : 's'}`, time);
  }
  const time = await keras.epoch('fit');
  if (round > 0) note('keras fit', time);
}
await Promise.all([torch.end(), keras.end()]);

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const medians = [...seconds].map(([name, values]) => [name, median(values)] as const);
const best = Math.min(...medians.filter(([name]) => name.startsWith('pytorch')).map(([, value]) => value));
const fit = medians.find(([name]) => name.startsWith('keras'))?.[1] ?? Number.NaN;
console.log(
  `an epoch of ${n} x ${d}, batch ${batchSize}, fresh permutation; median of ${rounds} in turns; ` +
    `onnxruntime ${runtimeVersion}, torch ${torch.version}, keras ${keras.version}`,
);
for (const [name, value] of medians) {
  console.log(
    `${name.padEnd(34)} ${(1000 * value).toFixed(0).padStart(5)} ms  ` +
      `${(value / best).toFixed(2)} x best PyTorch  ${(value / fit).toFixed(3)} x Keras`,
  );
}
await Promise.all(Object.values(packs).map((pack) => pack.release()));
