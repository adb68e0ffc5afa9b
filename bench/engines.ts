/**
 * The engines on ready pixels: Xception at 200x200, images a second and ratios to onnx, in turns.
 *
 *     npm run build && node dist/bench/engines.js [rounds=3]
 *
 * NODE_PATH=build/tensorflow/node_modules takes the TensorFlow that `make test-tensorflow` set up.
 */
import { loadBase, openBase } from '../src/base/index.js';
import { openEngine } from '../src/engine/index.js';

const rounds = Number(process.argv[2] ?? 3);
const size = 200;
const n = 16;
const base = await openBase({ base: 'xception', weights: 'random:0', inputSize: [size, size] });
const pixels = Uint8Array.from({ length: n * size * size * 3 }, (_, i) => (i * 31) % 251);
const engines = [await openEngine({ engine: 'onnx' }), await openEngine({ engine: 'tensorflow' })];
const runners = await Promise.all(engines.map((engine) => loadBase(base, engine, { input: 'uint8' })));
for (const runner of runners) await runner.run(pixels, n);
for (let round = 0; round < rounds; round++) {
  const rates: number[] = [];
  for (const runner of runners) {
    const start = performance.now();
    await runner.run(pixels, n);
    rates.push((n * 1000) / (performance.now() - start));
  }
  const shown = rates.map((rate, i) => `${engines[i]?.name} ${engines[i]?.version} ${rate.toFixed(1)} images/s`);
  console.log(`${shown.join(', ')}: ratio ${((rates[1] ?? 0) / (rates[0] ?? 1)).toFixed(2)}`);
}
await Promise.all(runners.map((runner) => runner.release()));
