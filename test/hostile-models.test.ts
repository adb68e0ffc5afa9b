import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random } from '../src/random.js';
import { fixture } from './helpers/fixtures.js';
import { long } from './helpers/long.js';
import { mutate } from './helpers/mutate.js';
import { folder } from './helpers/store.js';

const SCRIPT = fileURLToPath(new URL('./helpers/open-models.js', import.meta.url));

test('mutants of model files are opened or refused in one sentence: no crash, no hang, bounded memory', async (t) => {
  const work = await folder(t);
  const random = new Random('models');
  const names = ['tiny.keras', 'tiny.h5', 'flat.keras', 'flat.h5'];
  const files: string[] = [];
  for (let i = 0; i < (long ? 1000 : 60); i++) {
    const name = names[i % names.length] as string;
    const file = path.join(work, `${i}-${name}`);
    const other = readFileSync(fixture(`keras/${names[random.below(names.length)]}`));
    writeFileSync(file, mutate(readFileSync(fixture(`keras/${name}`)), random, other));
    files.push(file);
  }
  const told = await new Promise<string>((resolve, reject) => {
    const limits = { timeout: long ? 300_000 : 60_000, maxBuffer: 2 ** 26 };
    execFile(process.execPath, [SCRIPT, ...files], limits, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
  });
  const { results, rss } = JSON.parse(told) as { results: { name: string; message: string }[]; rss: number };
  assert.equal(results.length, files.length);
  const refused = results.filter(({ name }) => name !== 'opened');
  assert.ok(refused.length > files.length / 4, `${refused.length} refused`);
  for (const { name, message } of refused) {
    assert.match(name, /^(ModelError|WeightsError|UsageError)$/, message);
    assert.ok(message.length < 2000 && !message.includes('\n    at '), message);
  }
  assert.ok(rss < 1.5e9, `${rss} bytes`);
});
