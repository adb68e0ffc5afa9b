import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Hex } from '../../src/canonical.js';
import { isMine } from '../../src/extract/shard.js';
import { FeatureSet } from '../../src/store/index.js';
import { folder, MAKER, spec } from '../helpers/store.js';

test('a content falls to one shard, by its digits and by its bytes alike', async (t) => {
  const contents = Array.from({ length: 300 }, (_, i) => sha256Hex(`content ${i}`));
  const set = await FeatureSet.create(await folder(t), 'shares', spec(1));
  const writer = set.writer(MAKER);
  for (const content of contents) await writer.add(Buffer.from(content, 'hex'), Float32Array.of(1));
  await writer.close();
  for (const count of [1, 2, 7, 1000]) {
    const owners = contents.map((content) => {
      const mine = Array.from({ length: count }, (_, i) => i + 1).filter((index) => isMine(content, { index, count }));
      assert.equal(mine.length, 1);
      const [index] = mine as [number];
      assert.ok(isMine(Buffer.from(content, 'hex'), { index, count }));
      assert.equal(index - 1, Number(BigInt(`0x${content.slice(0, 13)}`) % BigInt(count)));
      return index;
    });
    const keys = await set.keys(undefined, (key) => isMine(key, { index: 1, count }));
    assert.equal(keys.size, owners.filter((index) => index === 1).length, 'only those of the share are held');
    assert.ok(contents.every((content, i) => keys.has(content) === (owners[i] === 1)));
  }
});
