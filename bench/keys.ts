/**
 * What a set of many keys costs: every step is a process of its own, with its time and its peak of resident memory.
 *
 *     npm run build && node dist/bench/keys.js [KEYS [FOLDER]]
 *
 * Writes 10,000,000 made vectors of 8 values (0.7 GB) under made hashes, in full parts but for the last 10,000, which come in parts
 * of 50. A FOLDER is made where it is not there, kept, and used again; `compact` and `gc` change it.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FeatureSet, type SetSpec } from '../src/store/index.js';
import { type Measured, measure, tell } from './command.js';

const MAKER = { engine: 'onnx', engineVersion: '0', version: '0' } as const;
const SPEC = { format: 1, features: 8, type: 'float32', base: 'made' } as unknown as SetSpec;
const SMALL = { rows: 10_000, part: 50 };
const ASKED = 1000;
/** Rows of a label file: larger ones are refused. */
const LABELLED = 1_000_000;

const keyOf = (i: number): Buffer => createHash('sha256').update(`key ${i}`).digest();
const vectorOf = (i: number): Float32Array => Float32Array.from({ length: 8 }, (_, j) => i + j);

async function write(set: FeatureSet, from: number, to: number, small = 0): Promise<void> {
  const writer = set.writer(MAKER);
  for (let i = from; i < to; i++) {
    await writer.add(keyOf(i), vectorOf(i));
    if (i >= to - small && i % SMALL.part === 0) await writer.flush();
  }
  await writer.close();
}

/** What the steps do that no command does alone; each in a process of its own. */
const STEPS: Readonly<Record<string, (set: FeatureSet, keys: number) => Promise<void>>> = {
  open: async (set, keys) => {
    const held = await set.keys();
    if (held.size < keys) throw new Error(`${held.size} keys, expected ${keys}`);
  },
  look: async (set, keys) => {
    const held = await set.keys();
    for (let i = 0; i < ASKED; i++) {
      const [there, absent] = [Math.floor((i * keys) / ASKED), 2 * keys + i];
      if (!held.has(keyOf(there)) || held.has(keyOf(absent))) throw new Error(`key ${there} or ${absent} is wrong`);
    }
  },
  find: async (set, keys) => {
    const asked = Array.from({ length: ASKED }, (_, i) => Math.floor((i * keys) / ASKED));
    const { vectors, found } = await set.read(asked.map(keyOf));
    if (found.length !== ASKED || asked.some((i, row) => vectors[row * 8] !== Math.fround(i)))
      throw new Error(`${found.length} of ${ASKED} found, or not as written`);
  },
  add: async (set, keys) => {
    const held = await set.keys();
    const fresh = Array.from({ length: ASKED }, (_, i) => keys + i).filter((i) => !held.has(keyOf(i)));
    if (fresh.length !== ASKED) throw new Error(`${ASKED - fresh.length} keys are there already`);
    await write(set, keys, keys + ASKED);
  },
};

const step = process.env.PERMAFROST_STEP;
if (step !== undefined) {
  const [dir = '', keys = ''] = process.argv.slice(2);
  await STEPS[step]?.(await FeatureSet.open(dir), Number(keys));
} else {
  const keys = Number(process.argv[2] ?? 10_000_000);
  const kept = process.argv[3];
  const work = kept ?? mkdtempSync(path.join(tmpdir(), 'permafrost-keys-'));
  const cache = path.join(work, 'cache');
  try {
    const isThere = existsSync(cache);
    const set = await FeatureSet.create(cache, 'made', SPEC);
    if (!isThere) await write(set, 0, keys, SMALL.rows);
    const self = fileURLToPath(import.meta.url);
    const alone = (name: string): Promise<Measured> =>
      measure([set.dir, String(keys)], { program: self, env: { PERMAFROST_STEP: name } });
    const command = (...args: string[]): Promise<Measured> => measure([...args, '--cache', cache, '--json', '--quiet']);
    const say = async (name: string, measured: Promise<Measured>): Promise<void> => {
      const done = await measured;
      if (done.code !== 0) throw new Error(`${name}: ${done.stderr.slice(-2000)}`);
      tell(name, done);
    };
    await say(`all ${keys} keys read for the first time`, alone('open'));
    await say(`opened again, ${ASKED} keys that are there looked up, and ${ASKED} others`, alone('look'));
    await say(`${ASKED} vectors found by key`, alone('find'));
    await say(`${ASKED} keys asked for, none found, added`, alone('add'));
    await say('cache ls', command('cache', 'ls'));
    await say('cache compact', command('cache', 'compact'));
    await say('cache verify', command('cache', 'verify'));
    const files: string[] = [];
    for (let from = 0; from < keys / 2; from += LABELLED) {
      const rows = Array.from({ length: Math.min(LABELLED, keys / 2 - from) }, (_, i) =>
        keyOf(from + i).toString('hex'),
      );
      const file = path.join(work, `half-${files.length}.csv`);
      writeFileSync(file, `sha256,label\n${rows.map((key) => `${key},kept\n`).join('')}`);
      files.push(file);
    }
    const gc = ['cache', 'gc', '--unreferenced', '--labels', ...files];
    await say('cache gc of half the vectors: shown', command(...gc));
    await say('cache gc of half the vectors: done', command(...gc, '--yes'));
  } finally {
    if (kept === undefined) rmSync(work, { recursive: true });
  }
}
