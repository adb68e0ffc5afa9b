import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Random } from '../src/random.js';
import { fitFullBatch } from '../src/train/full-batch.js';
import { startPeer } from './peer.js';
import { tell } from './tables.js';

/** L-BFGS on 20,000 vectors of 2,048 features, to the gradient norm that scikit-learn reaches: Permafrost and scikit-learn in turns. */
const [n, d, rounds, l2, tolerance] = [20_000, 2_048, 3, 1e-3, 1e-5];

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
    const peer = await startPeer('lbfgs', folder, n, d, classes, l2);
    if (peer === null) return;
    const spec = { d, units: classes === 2 ? 1 : classes, ending: classes === 2 ? 'sigmoid' : 'softmax' } as const;
    const targets = classes === 2 ? Float32Array.from(y) : y;
    const fit = async (count: number, to: number) => {
      const began = performance.now();
      const heads = Array.from({ length: count }, () => ({ l2, tolerance: to, maxIterations: 10_000 }));
      await fitFullBatch(spec, x, targets, heads);
      return { seconds: (performance.now() - began) / 1000 };
    };
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const [seconds = 0, , reached = 0] = (await peer.answer(String(tolerance))).split(' ').map(Number);
      theirs.push(seconds);
      ours.push((await fit(1, reached)).seconds);
    }
    const many = classes === 2 ? [await fit(16, tolerance)] : [];
    await peer.end();
    tell({
      title: `L-BFGS, ${classes} classes: ${n.toLocaleString('en')} × ${d.toLocaleString('en')}`,
      text: `To the gradient norm at which scikit-learn's lbfgs ends (tol ${tolerance}, l2 ${l2}).`,
      ...{ command: 'node dist/bench/lbfgs.js', unit: 's', over: ['scikit-learn'] },
      rows: [
        { name: 'Permafrost', values: ours },
        ...many.map(({ seconds }) => ({ name: 'Permafrost, 16 penalties together', values: [seconds] })),
        { name: 'scikit-learn', values: theirs },
      ],
      versions: { 'scikit-learn': peer.version },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await compare(2);
await compare(10);
