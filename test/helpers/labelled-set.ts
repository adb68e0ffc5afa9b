import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Random } from '../../src/random.js';
import { FeatureSet } from '../../src/store/index.js';
import { fixture } from './fixtures.js';
import { hex, key, MAKER, spec } from './store.js';

/** A set of `n` seeded vectors of `d` features and label files for every task, in a folder: `cache`, `data`, `*.csv`. */
export async function labelledSet(dir: string, n: number, d: number) {
  const cache = path.join(dir, 'cache');
  const data = path.join(dir, 'data');
  mkdirSync(data, { recursive: true });
  copyFileSync(fixture('images/rgb.jpg'), path.join(data, 'unlabelled.jpg'));
  const set = await FeatureSet.create(cache, 'clouds', spec(d));
  const writer = set.writer(MAKER);
  const random = new Random('labelled set');
  const files = { binary: '', multiclass: '', multilabel: '', regression: '' };
  for (let i = 0; i < n; i++) {
    const x = Float32Array.from({ length: d }, () => random.normal());
    const [a, b, c, noise] = [x[0] ?? 0, x[1] ?? 0, x[2] ?? 0, random.normal(0, 0.3)];
    await writer.add(key(i), x);
    const split = ['train', 'train', 'train', 'val', 'test'][i % 5];
    const add = (task: keyof typeof files, label: string | number) => {
      files[task] += `${hex(i)},${label},${split}\n`;
    };
    add('binary', a + b + noise > 0 ? 'yes' : 'no');
    add('multiclass', a + noise > 0.5 ? 'high' : b + noise > 0 ? 'middle' : 'low');
    add('multilabel', [a + noise > 0 ? 'a' : '', b > 0.5 ? 'b' : '', c > 0 ? 'c' : ''].filter(Boolean).join('|'));
    add('regression', (3 + a - 2 * b + noise).toFixed(4));
  }
  await writer.close();
  for (const [task, rows] of Object.entries(files)) {
    writeFileSync(path.join(dir, `${task}.csv`), `sha256,label,split\n${rows}`);
  }
  return { cache, data, features: set.dir, labels: (task: keyof typeof files) => path.join(dir, `${task}.csv`) };
}
