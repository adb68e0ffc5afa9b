import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { withArchive } from '../../src/keras/archive.js';
import { fixture } from '../helpers/fixtures.js';

const own = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
const before = process.env.TMPDIR;
process.env.TMPDIR = own;
after(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(own, { recursive: true });
});
const keras = fixture('keras/tiny.keras');

test('weights are unpacked for its owner alone, and taken away, also where their reader fails', async () => {
  await withArchive(keras, async ({ weights }) => {
    assert.equal(path.dirname(path.dirname(weights)), own);
    assert.ok(path.basename(path.dirname(weights)).startsWith('_tmp-'));
    if (process.platform !== 'win32') assert.equal(statSync(path.dirname(weights)).mode & 0o77, 0);
    // One that is open stays when another is opened.
    await withArchive(keras, async () => assert.equal(readdirSync(own).length, 2));
    assert.ok(statSync(weights).size > 0);
  });
  await assert.rejects(
    withArchive(keras, async () => {
      throw new Error('enough');
    }),
    /enough/,
  );
  assert.deepEqual(readdirSync(own), []);
});

test('what is open in one thread stays when another opens the same', async () => {
  const module = new URL('../../src/keras/archive.js', import.meta.url).href;
  const code = `import(${JSON.stringify(module)}).then(({ withArchive }) => withArchive(${JSON.stringify(keras)}, async () => {}));`;
  await withArchive(keras, async ({ weights }) => {
    const [status] = (await once(new Worker(code, { eval: true }), 'exit')) as [number];
    assert.equal(status, 0);
    assert.ok(statSync(weights).size > 0);
  });
  assert.deepEqual(readdirSync(own), []);
});

test('what a killed run has unpacked the next one takes away, and nothing else', async () => {
  const module = new URL('../../src/keras/archive.js', import.meta.url).href;
  const code = `import { withArchive } from ${JSON.stringify(module)};
    await withArchive(${JSON.stringify(keras)}, () => new Promise(() => { console.log('open'); setInterval(() => {}, 1e6); }));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const [left] = readdirSync(own);
  assert.ok(left);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const others = [
    `_tmp-${hostname()}-${process.ppid}-0123456789ab`, // of a process that runs
    `_tmp-elsewhere-${child.pid}-0123456789ab`,
    `_tmp-${hostname()}-${child.pid}`,
    'permafrost-notes',
  ];
  for (const name of others) {
    mkdirSync(path.join(own, name));
    writeFileSync(path.join(own, name, 'weights'), '');
  }
  assert.ok(readdirSync(own).includes(left));
  await withArchive(keras, async () => {});
  assert.deepEqual(readdirSync(own).sort(), others.sort());
});
