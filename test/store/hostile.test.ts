import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { verifySets } from '../../src/commands/cache/index.js';
import { FeatureSet } from '../../src/store/index.js';
import { long } from '../helpers/long.js';
import { folder, key, MAKER, spec, vector } from '../helpers/store.js';

test('verify finds every flipped byte and every cut of a part', async (t) => {
  const cache = await folder(t);
  const set = await FeatureSet.create(cache, 'test', spec(4));
  const writer = set.writer(MAKER);
  for (let i = 0; i < 6; i++) await writer.add(key(i), vector(i, 4));
  await writer.close();
  const [name = ''] = (await readdir(set.dir)).filter((file) => file.startsWith('part-'));
  const part = path.join(set.dir, name);
  const whole = await readFile(part);
  const damaged = async () => (await verifySets(cache)).flatMap((found) => found.damaged.map(({ part }) => part));
  assert.deepEqual(await damaged(), []);
  for (let at = 0; at < whole.length; at++) {
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
    await writeFile(part, flipped);
    assert.deepEqual(await damaged(), [name], `byte ${at}`);
  }
  for (let length = 0; length < whole.length; length += long ? 1 : 5) {
    await writeFile(part, whole.subarray(0, length));
    assert.deepEqual(await damaged(), [name], `cut to ${length}`);
  }
  await writeFile(part, whole);
  assert.deepEqual(await damaged(), []);
});
