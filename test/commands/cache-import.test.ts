import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { importSet } from '../../src/commands/cache/index.js';
import { FeatureSet } from '../../src/store/index.js';
import { fixture } from '../helpers/fixtures.js';
import { bits, folder, key, MAKER, spec, vector } from '../helpers/store.js';

test('what pyarrow and polars write is read: binary, hexadecimal, large lists, every codec', async (t) => {
  const work = await folder(t);
  const ours = await FeatureSet.create(path.join(work, 'ours'), 'x', spec(4));
  const writer = ours.writer(MAKER);
  for (let i = 0; i < 5; i++) await writer.add(key(i), vector(i, 4));
  await writer.close();
  const expected = await bits(ours);
  const facts = path.join(work, 'set.json');
  await writeFile(facts, JSON.stringify(spec(4)));
  const files = readdirSync(fixture('vectors'));
  assert.equal(files.length, 13);
  for (const name of files) {
    const cache = path.join(work, name);
    const { dir, rows, added } = await importSet(cache, fixture(`vectors/${name}`), { spec: facts });
    assert.deepEqual([rows, added], [5, 5], name);
    assert.deepEqual(await bits(await FeatureSet.open(dir)), expected, name);
  }
});
