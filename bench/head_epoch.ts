import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { HeadTrainer } from '../src/engine/onnx/head-trainer.js';
import { runtimeVersion } from '../src/engine/onnx/session.js';
import { Random } from '../src/random.js';

/** An epoch of a Dense(1, sigmoid) head, Adam, batch 32, a fresh permutation: Permafrost and PyTorch in turns. */
const [n, d, batchSize, rounds] = [20_000, 2_048, 32, 9];
const threads = availableParallelism();
const variants = ['fused', 'foreach', 'plain'].flatMap((adam) =>
  [...new Set([1, threads])].map((count) => ({ adam, count })),
);

const random = new Random(0);
const x = Float32Array.from({ length: n * d }, () => random.uniform());
const y = Uint8Array.from({ length: n }, () => random.below(2));
const start = { kernel: new Float32Array(d), bias: new Float32Array(1) };
const scaling = { mean: new Float32Array(d).fill(0.5), inverse: new Float32Array(d).fill(Math.sqrt(12)) };
const spec = { d, units: 1, activation: 'sigmoid', standardize: false, penalize: false } as const;
const trainers = {
  'permafrost, 1 thread': await HeadTrainer.create(spec, x, start),
  'permafrost, standardised, 1 thread': await HeadTrainer.create({ ...spec, standardize: true }, x, start, scaling),
};

const script = fileURLToPath(new URL('../../bench/head_epoch.py', import.meta.url));
const python = process.env.PYTHON ?? 'python3';
const torch = spawn(python, [script, n, d, batchSize].map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
torch.on('error', (error) => {
  console.error(`${python} could not be started (${error.message}): set PYTHON to one with bench/requirements.txt`);
  process.exit(1);
});
const lines = createInterface({ input: torch.stdout })[Symbol.asyncIterator]();
const { value: torchVersion, done } = await lines.next();
if (done) process.exit(1);

const seconds = new Map<string, number[]>();
const note = (name: string, time: number) => seconds.set(name, [...(seconds.get(name) ?? []), time]);
for (let round = 0; round <= rounds; round++) {
  for (const [name, trainer] of Object.entries(trainers)) {
    const began = performance.now();
    await trainer.epoch(random.permutation(n), y, { batchSize, learningRate: 1e-3, l2: 0 });
    if (round > 0) note(name, (performance.now() - began) / 1000);
  }
  for (const { adam, count } of variants) {
    torch.stdin.write(`${adam} ${count}\n`);
    const { value } = await lines.next();
    if (round > 0) note(`pytorch, ${adam} Adam, ${count} thread${count === 1 ? '' : 's'}`, Number(value));
  }
}
torch.stdin.end();
await once(torch, 'close');

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const medians = [...seconds].map(([name, values]) => [name, median(values)] as const);
const best = Math.min(...medians.filter(([name]) => name.startsWith('pytorch')).map(([, value]) => value));
console.log(
  `an epoch of ${n} x ${d}, batch ${batchSize}, fresh permutation; median of ${rounds} in turns; ` +
    `onnxruntime ${runtimeVersion}, torch ${torchVersion}`,
);
for (const [name, value] of medians) {
  console.log(
    `${name.padEnd(34)} ${(1000 * value).toFixed(0).padStart(5)} ms  ${(value / best).toFixed(2)} x best PyTorch`,
  );
}
await Promise.all(Object.values(trainers).map((trainer) => trainer.release()));
