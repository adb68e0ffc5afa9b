import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { features, sweep, train, trainPlan } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { fixture } from './fixtures.js';

/** The base of the made pictures: small, and its vectors tell colours apart. */
export const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;

/** A folder with pictures, label files and heads of every kind. */
export interface World {
  readonly root: string;
  readonly data: string;
  readonly cache: string;
  /** `binary`, `multilabel`, `ages`: all images, with their sides. */
  readonly labels: (name: string) => string;
  /** The same images on one side only, without sides: what `evaluate` measures. */
  readonly valOf: (name: string) => string;
  readonly plan: string;
}

/** Names that a page must write as they are. */
const ODD = ['</script><b>', 'a & "b"', "l'été", '日本'];

/**
 * Makes pictures of `classes` classes, two of each on `train` and one on `val`, each a colour of its class with noise of its own, and
 * their vectors.
 */
export async function world(root: string, classes: number): Promise<World> {
  const [data, cache] = [path.join(root, 'data'), path.join(root, 'cache')];
  const random = new Random('report world');
  const rows: { file: string; split: string; k: number; i: number; colour: number[] }[] = [];
  for (let k = 0; k < classes; k++) {
    const colour = [random.below(200), random.below(200), random.below(200)];
    for (let i = 0; i < 3; i++) {
      const split = i < 2 ? 'train' : 'val';
      const folder = path.join(data, split, `class-${String(k).padStart(3, '0')}`);
      mkdirSync(folder, { recursive: true });
      const raw = Buffer.from(
        Array.from({ length: 16 * 16 * 3 }, (_, at) => (colour[at % 3] as number) + random.below(56)),
      );
      const file = path.join(folder, `${i}.png`);
      await sharp(raw, { raw: { width: 16, height: 16, channels: 3 } })
        .png()
        .toFile(file);
      rows.push({ file: path.relative(data, file).replaceAll(path.sep, '/'), split, k, i, colour });
    }
  }
  const label: Record<string, (row: (typeof rows)[number]) => string> = {
    binary: ({ colour: [red = 0, green = 0] }) => (red > green ? 'warm' : 'cold'),
    odd: ({ k }) => `"${(ODD[k % ODD.length] as string).replaceAll('"', '""')}"`,
    multilabel: ({ colour }) => ['red', 'green', 'blue'].filter((_, at) => (colour[at] as number) > 100).join('|'),
    ages: ({ colour: [red = 0, green = 0], i }) => (40 + (red - green) / 10 + i).toFixed(3),
  };
  const write = (file: string, lines: readonly string[]): string => {
    writeFileSync(path.join(root, file), `${lines.join('\n')}\n`);
    return path.join(root, file);
  };
  for (const [name, of] of Object.entries(label)) {
    write(`${name}.csv`, ['path,label,split', ...rows.map((row) => `${row.file},${of(row)},${row.split}`)]);
    const val = rows.filter(({ split }) => split === 'val');
    write(`${name}-val.csv`, ['path,label', ...val.map((row) => `${row.file},${of(row)}`)]);
  }
  const heads = Array.from({ length: 8 }, (_, k) => `  - name: plan-${k}\n    lr: ${(k + 1) / 50}`);
  const plan = write('plan.yaml', ['defaults:', '  epochs: 12', '  labels: binary.csv', 'heads:', ...heads]);
  await features({ ...BASE, data, cache, threads: 1 });
  return {
    root,
    data,
    cache,
    labels: (name) => path.join(root, `${name}.csv`),
    valOf: (name) => path.join(root, `${name}-val.csv`),
    plan,
  };
}

/** Trains a head of each kind. */
export async function trainAll({ data, cache, labels, plan }: World): Promise<void> {
  const common = { ...BASE, data, cache, bootstrap: 50 };
  const quick = { epochs: 25, learningRate: 0.05 };
  await train({ ...common, ...quick, name: 'many' });
  await train({ ...common, ...quick, name: 'binary', labels: labels('binary'), task: 'binary' });
  await train({ ...common, ...quick, name: 'odd', labels: labels('odd') });
  await train({ ...common, ...quick, name: 'multilabel', labels: labels('multilabel'), task: 'multilabel' });
  await train({ ...common, ...quick, name: 'ages', labels: labels('ages'), task: 'regression' });
  const grid = ['lr=1e-3,1e-2,1e-1,1', 'l2=0,1e-4,1e-3,1e-2', 'hidden=none,4,8,16'];
  await sweep({ ...common, name: 'wide', labels: labels('binary'), grid, epochs: 6 });
  await trainPlan({ ...BASE, data, cache, plan });
}
