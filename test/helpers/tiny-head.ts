import { makeHead, saveHead } from '../../src/heads/index.js';
import { Random } from '../../src/random.js';
import { fingerprint } from '../../src/store/index.js';
import { trainHead } from '../../src/train/train.js';
import { memoryVectors } from '../../src/train/vectors.js';
import { unmeasured } from './saved-head.js';
import { spec } from './store.js';

/** Trains a head of two classes on seeded vectors of `d` features and saves it into a folder; each seed gives another. */
export async function tinyHead(dir: string, seed: number, d = 4): Promise<void> {
  const random = new Random(`head ${seed}`);
  const x = Float32Array.from({ length: 20 * d }, () => random.normal());
  const y = Int32Array.from({ length: 20 }, (_, i) => i % 2);
  const data = { vectors: memoryVectors(x, d), y, task: 'binary' as const, classes: ['no', 'yes'] };
  const trained = await trainHead(data, null, { epochs: 2, learningRate: 0.05 });
  const set = spec(d);
  await saveHead(
    dir,
    makeHead(unmeasured(trained), {
      sets: [{ fingerprint: fingerprint(set), set: { ...set } }],
      versions: { permafrost: '0.1.0' },
      identity: null,
    }),
  );
}
