import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { FeatureSet, features } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { type Disturbance, disturbed } from '../helpers/disturb.js';
import type { Driven } from '../helpers/extract-disturbed.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { bits, folder } from '../helpers/store.js';

const SCRIPT = fileURLToPath(new URL('../helpers/extract-disturbed.js', import.meta.url));
const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;
const BATCH = 2;
const PART = 4;
const DAY = 24 * 60 * 60 * 1000;

/** Small pictures, no two alike, and two files that are none. */
async function draw(dir: string, count: number): Promise<void> {
  await mkdir(dir);
  const random = new Random(`pictures ${count}`);
  for (let i = 0; i < count; i++) {
    const raw = Buffer.from(Array.from({ length: 6 * 6 * 3 }, () => random.below(256)));
    const picture = sharp(raw, { raw: { width: 6, height: 6, channels: 3 } });
    await picture.png({ compressionLevel: 1 }).toFile(path.join(dir, `${String(i).padStart(4, '0')}.png`));
  }
  await writeFile(path.join(dir, '0001-broken.jpg'), Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]));
  await writeFile(path.join(dir, '0003-empty.png'), '');
}

interface Ended {
  readonly code: number | null;
  readonly killed: boolean;
  readonly extracted: number;
  readonly operations: number;
  readonly stderr: string;
}

/** Runs stage one in a process of its own; `kill` sends SIGKILL some ms after an operation has begun. */
function drive(
  driven: Pick<Driven, 'data' | 'cache'> & Partial<Driven>,
  kill?: { readonly at: number; readonly afterMs: number },
): Promise<Ended> {
  const options: Driven = {
    base: BASE.base,
    batchSize: BATCH,
    partRows: PART,
    disturbance: null,
    clockBack: 0,
    ...driven,
  };
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    told += chunk;
    if (kill && told.includes(`operation ${kill.at}\n`)) setTimeout(() => child.kill('SIGKILL'), kill.afterMs);
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const last = (what: string) => Number(told.match(new RegExp(`^${what} (\\d+)$(?![\\s\\S]*^${what} )`, 'm'))?.[1]);
      const extracted = last('extracted') || 0;
      resolve({ code, killed: signal === 'SIGKILL', extracted, operations: last('operation') || 0, stderr });
    });
  });
}

const isSet = (name: string): boolean => /-[0-9a-f]{12}$/.test(name);

async function theSet(cache: string): Promise<FeatureSet | null> {
  const name = (await readdir(cache).catch(() => [])).find(isSet);
  const names = name === undefined ? [] : await readdir(path.join(cache, name));
  return names.includes('_set.json') ? FeatureSet.open(path.join(cache, name as string)) : null;
}

const rowsOf = async (cache: string): Promise<number> => (await (await theSet(cache))?.info())?.rows ?? 0;

/**
 * What a cache holds: vectors and quarantine, and every file but those whose names depend on how the work was cut, and shortcuts,
 * which cost once more where they are lost.
 */
async function state(cache: string) {
  const set = await theSet(cache);
  assert.ok(set, `${cache} holds a set`);
  const files = (await readdir(cache, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(cache, path.join(entry.parentPath, entry.name)))
    .filter(
      (name) =>
        !/part-[0-9a-f]{32}\.arrow$|_quarantine-[0-9a-f]{32}\.jsonl$|_index.\d{10}-[0-9a-f]{12}\.index$|_(?:proof|opened)-[0-9a-f]{16}\.json$/.test(
          name,
        ),
    )
    .sort();
  const quarantine = (await set.quarantine()).entries().map(({ path, stage }) => `${path} ${stage}`);
  return { vectors: await bits(set), quarantine: quarantine.sort(), files };
}

async function undisturbed(t: TestContext, data: string, size: number) {
  const cache = await folder(t);
  const run = await drive({ data, cache });
  assert.equal(run.code, 0, run.stderr);
  const whole = await state(cache);
  assert.deepEqual([whole.vectors.size, whole.quarantine.length], [size, 2]);
  return { whole, operations: run.operations };
}

const clockBack = (random: Random): number => random.below(3) * random.below(DAY);

test('killed again and again over one extraction, the set ends as that of an undisturbed run', async (t) => {
  const kills = long ? 120 : 8;
  const size = kills * 6;
  const work = await folder(t);
  const data = path.join(work, 'data');
  await draw(data, size);
  const { whole } = await undisturbed(t, data, size);
  const cache = path.join(work, 'cache');
  const random = new Random('kills');
  let computed = 0;
  for (let kill = 0; kill < kills; kill++) {
    const before = await rowsOf(cache);
    // The first operations make the set, keep the base and its proof, about 30; then each part takes six.
    const at = 1 + random.below(before === 0 ? 40 : 10);
    const how = kill % 3;
    const ended = await drive(
      {
        data,
        cache,
        clockBack: clockBack(random),
        disturbance: how === 0 ? null : { at, what: how === 1 ? 'before' : 'half' },
      },
      how === 0 ? { at, afterMs: random.below(20) } : undefined,
    );
    assert.ok(ended.killed, `kill ${kill}: ${ended.stderr}`);
    const stored = (await rowsOf(cache)) - before;
    // The batch under way has not been told of.
    const lost = ended.extracted + BATCH - stored;
    assert.ok(lost <= PART, `kill ${kill}: ${ended.extracted} extracted and ${stored} stored`);
    computed += ended.extracted;
    const set = await theSet(cache);
    for (const [key, value] of set ? await bits(set) : []) assert.equal(value, whole.vectors.get(key));
  }
  const before = await rowsOf(cache);
  assert.ok(before > 0 && before < size, `${before} of ${size} images must be there, or the kills tested little`);
  const last = await drive({ data, cache });
  assert.equal(last.code, 0, last.stderr);
  assert.equal(last.extracted, size - before);
  assert.deepEqual(await state(cache), whole);
  assert.equal(await rowsOf(cache), size, 'no vector is stored twice');
  t.diagnostic(`${kills} kills, ${computed + last.extracted - size} of ${size} vectors told of were computed again`);
});

for (const writers of [2, 4]) {
  test(`${writers} processes at once, each killed or failing somewhere, then one left alone`, async (t) => {
    const size = 40;
    const work = await folder(t);
    const data = path.join(work, 'data');
    await draw(data, size);
    const { whole } = await undisturbed(t, data, size);
    const random = new Random(`writers ${writers}`);
    const kinds: Disturbance['what'][] = ['before', 'half', 'ENOSPC', 'EIO'];
    for (let round = 0; round < (long ? 20 : 1); round++) {
      const cache = path.join(work, `cache-${round}`);
      const ended = await Promise.all(
        Array.from({ length: writers }, (_, i) =>
          drive({
            data,
            cache,
            clockBack: clockBack(random),
            // The last goes through, so that the others meet a writer that lives.
            disturbance:
              i === writers - 1 ? null : { at: 1 + random.below(50), what: kinds[(round + i) % 4] as 'half' },
          }),
        ),
      );
      assert.equal(ended.at(-1)?.code, 0, ended.at(-1)?.stderr);
      for (const { killed, code, stderr } of ended) {
        assert.ok(killed || code === 0 || (code === 3 && stderr.startsWith('CacheError')), stderr);
      }
      const again = await drive({ data, cache });
      assert.equal(again.code, 0, again.stderr);
      assert.equal(again.extracted, 0);
      assert.deepEqual(await state(cache), whole);
      assert.ok((await rowsOf(cache)) <= writers * size);
    }
  });
}

describe('the disk is full, or fails, at each write, sync and rename', () => {
  const size = 14;
  let operations: string[] = [];
  const extract = (data: string, cache: string, disturbance: Disturbance | null, back: number) =>
    features({
      ...BASE,
      data,
      cache,
      batchSize: BATCH,
      partRows: PART,
      threads: 1,
      system: disturbed(disturbance, (_, operation) => operations.push(operation), { now: () => Date.now() - back }),
    });

  for (const what of ['ENOSPC', 'EIO'] as const) {
    for (const back of [0, 2 * DAY]) {
      test(`${what}${back ? ', with the clock put back' : ''}`, async (t) => {
        const work = await folder(t);
        const data = path.join(work, 'data');
        await draw(data, size);
        const reference = path.join(work, 'reference');
        operations = [];
        await extract(data, reference, null, 0);
        const whole = await state(reference);
        const points = operations.map((operation, i) => ({ operation, at: i + 1 }));
        const kinds = new Set(points.map(({ operation }) => operation));
        for (const kind of ['open', 'write', 'sync', 'rename', 'syncFolder']) assert.ok(kinds.has(kind), kind);
        const step = long ? 1 : 7;
        let failed = 0;
        for (const { operation, at } of points.slice(back ? 3 : 0).filter((_, i) => i % step === 0)) {
          const where = `${operation}, operation ${at}`;
          const cache = path.join(work, `cache-${at}`);
          await extract(data, cache, { at, what }, back).catch((error: Error) => {
            failed++;
            assert.equal(error.name, 'CacheError', `${where}: ${error}`);
            assert.match(error.message, what === 'ENOSPC' ? /no space is left/ : /\(EIO\); check the disk/, where);
          });
          const set = await theSet(cache);
          for (const [key, value] of set ? await bits(set) : []) assert.equal(value, whole.vectors.get(key), where);
          const { extracted } = await extract(data, cache, null, back);
          assert.ok(extracted <= size, where);
          assert.deepEqual(await state(cache), whole, where);
          assert.equal(await rowsOf(cache), size, where);
        }
        assert.ok(failed > 0);
      });
    }
  }
});
