import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Quarantine, realSystem } from '../../src/store/index.js';
import { folder, hex } from '../helpers/store.js';

const entry = (i: number, path = `${i}.jpg`) => ({
  sha256: hex(i),
  path,
  stage: 'decode',
  message: `cut after ${i} bytes`,
});

test('what is added is on disk after a flush, one line each', async (t) => {
  const dir = await folder(t);
  const quarantine = await Quarantine.open(dir);
  quarantine.add(entry(1, 'new\nline "é".jpg'));
  quarantine.add({ sha256: null, path: 'locked.png', stage: 'read', message: 'EACCES' });
  quarantine.add(entry(1, 'new\nline "é".jpg'));
  assert.equal((await Quarantine.open(dir)).size, 0);
  await quarantine.flush();
  quarantine.add(entry(2));
  await quarantine.flush();
  await quarantine.flush();
  const text = await readFile(join(dir, '_quarantine.jsonl'), 'utf8');
  assert.equal(text.split('\n').length, 4);
  assert.equal(
    text.split('\n')[0],
    `{"sha256":"${hex(1)}","path":"new\\nline \\"é\\".jpg","stage":"decode","message":"cut after 1 bytes"}`,
  );
  const again = await Quarantine.open(dir);
  assert.deepEqual(again.entries(), quarantine.entries());
  assert.ok(again.has(hex(1)) && again.has(hex(2)) && !again.has(hex(3)));
});

test('a torn last line is left out, and the next one stands on its own', async (t) => {
  const dir = await folder(t);
  const file = join(dir, '_quarantine.jsonl');
  const line = JSON.stringify(entry(1));
  await writeFile(file, `${line}\n{"sha256":"zz","path":"x"}\nnull\n\n${line.slice(0, 50)}`);
  const quarantine = await Quarantine.open(dir);
  assert.deepEqual(quarantine.entries(), [entry(1)]);
  quarantine.add(entry(2));
  await quarantine.flush();
  assert.deepEqual((await Quarantine.open(dir)).entries(), [entry(1), entry(2)]);
});

test('a write that fails half way tears only its own line', async (t) => {
  const dir = await folder(t);
  let fail = true;
  const open: typeof realSystem.open = async (path, mode) => {
    const file = await realSystem.open(path, mode);
    if (mode !== 'append') return file;
    return {
      size: () => file.size(),
      read: (target, position) => file.read(target, position),
      sync: () => file.sync(),
      close: () => file.close(),
      write: async (bytes) => {
        if (!fail) return file.write(bytes);
        fail = false;
        await file.write(bytes.subarray(0, 30));
        throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      },
    };
  };
  const quarantine = await Quarantine.open(dir, { system: { ...realSystem, open } });
  quarantine.add(entry(1));
  await assert.rejects(quarantine.flush(), { name: 'CacheError', message: /no space is left/ });
  quarantine.add(entry(2));
  await quarantine.flush();
  assert.deepEqual((await Quarantine.open(dir)).entries(), [entry(1), entry(2)]);
});

test('forgetting takes out some or all, also what another process has added', async (t) => {
  const dir = await folder(t);
  const quarantine = await Quarantine.open(dir);
  for (const i of [1, 2, 3]) quarantine.add(entry(i));
  await quarantine.flush();
  await appendFile(join(dir, '_quarantine.jsonl'), `${JSON.stringify(entry(4))}\n`);
  await quarantine.forget([hex(2), hex(9)]);
  assert.deepEqual(quarantine.entries(), [entry(1), entry(3), entry(4)]);
  assert.deepEqual((await Quarantine.open(dir)).entries(), quarantine.entries());
  await quarantine.forget();
  assert.equal(quarantine.size, 0);
  assert.equal(await readFile(join(dir, '_quarantine.jsonl'), 'utf8'), '');
});
