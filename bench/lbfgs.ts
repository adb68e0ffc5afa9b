import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Random } from '../src/random.js';
import { fitFullBatch } from '../src/train/full-batch.js';

/** L-BFGS on 20,000 vectors of 2,048 features, to the gradient norm that scikit-learn reaches: Permafrost and scikit-learn in turns. */
const [n, d, rounds, l2, tolerance] = [20_000, 2_048, 3, 1e-3, 1e-5];

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function compare(classes: number): Promise<void> {
  const random = new Random(classes);
  const centres = Float32Array.from({ length: classes * d }, () => random.normal(0, 0.03));
  const y = Int32Array.from({ length: n }, () => random.below(classes));
  const x = new Float32Array(n * d);
  for (let i = 0; i < n; i++) {
    const centre = (y[i] as number) * d;
    for (let j = 0; j < d; j++) x[i * d + j] = random.normal() + (centres[centre + j] as number);
  }
  const folder = await mkdtemp(path.join(tmpdir(), 'permafrost-lbfgs-'));
  try {
    await writeFile(path.join(folder, 'x.f32'), x);
    await writeFile(path.join(folder, 'y.i32'), y);
    const script = fileURLToPath(new URL('../../bench/lbfgs.py', import.meta.url));
    const python = process.env.PYTHON ?? 'python3';
    const peer = spawn(python, [script, folder, n, d, classes, l2].map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
    peer.on('error', (error) => {
      console.error(`${python} could not be started (${error.message}): set PYTHON to one with bench/requirements.txt`);
      process.exit(1);
    });
    const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
    const { value: version, done } = await lines.next();
    if (done) process.exit(1);

    const spec = { d, units: classes === 2 ? 1 : classes, ending: classes === 2 ? 'sigmoid' : 'softmax' } as const;
    const targets = classes === 2 ? Float32Array.from(y) : y;
    const fit = async (count: number, to: number) => {
      const began = performance.now();
      const heads = Array.from({ length: count }, () => ({ l2, tolerance: to, maxIterations: 10_000 }));
      const [head] = await fitFullBatch(spec, x, targets, heads);
      return { seconds: (performance.now() - began) / 1000, head };
    };
    const ours: number[] = [];
    const theirs: number[] = [];
    let said = '';
    for (let round = 0; round < rounds; round++) {
      peer.stdin.write(`${tolerance}\n`);
      const [seconds = 0, iterations, reached = 0] = String((await lines.next()).value)
        .split(' ')
        .map(Number);
      const { seconds: own, head } = await fit(1, reached);
      theirs.push(seconds);
      ours.push(own);
      said = `${head?.iterations} and ${iterations} iterations to a gradient of ${reached.toExponential(1)}`;
    }
    const many = classes === 2 ? await fit(16, tolerance) : undefined;
    peer.stdin.end();
    await once(peer, 'close');
    console.log(
      `${classes} classes: permafrost ${median(ours).toFixed(2)} s, scikit-learn ${version} ${median(theirs).toFixed(2)} s, ` +
        `${(median(ours) / median(theirs)).toFixed(2)} of it; ${said}` +
        (many ? `; 16 penalties together ${(many.seconds / median(ours)).toFixed(1)} x one` : ''),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

console.log(`lbfgs on ${n} x ${d}, l2 ${l2}; median of ${rounds} in turns`);
await compare(2);
await compare(10);
