import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { start } from '../helpers/cli.js';
import { root } from '../helpers/fixtures.js';

const io = pathToFileURL(path.join(root, 'dist/pipeline/io.js')).href;

/** Starts a process that catches signals as a command does, and goes on for ever. @returns it when it is ready */
async function busy(then: string) {
  const script = `import { interrupt } from '${io}'; import { writeSync } from 'node:fs'; const stopped = interrupt(); setInterval(() => {}, 1000); ${then}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const said = () => once(child.stdout, 'data').then(([text]) => String(text).trim());
  assert.equal(await said(), 'ready');
  return { child, said };
}

/** @returns how a process ended, and how many milliseconds that took; it is killed after 10 s */
async function ended(child: ReturnType<typeof spawn>) {
  const begun = performance.now();
  const killer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(killer);
  return { code, signal, ms: performance.now() - begun };
}

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  test(`after a first ${name} the next ends a process within a second, also one whose event loop is blocked`, {
    skip: process.platform === 'win32',
  }, async () => {
    const { child, said } = await busy(
      `stopped.addEventListener('abort', () => setTimeout(() => { console.log('first'); for (;;); }, 20)); console.log('ready');`,
    );
    child.kill(name);
    assert.equal(await said(), 'first');
    child.kill(name);
    const { signal, ms } = await ended(child);
    assert.equal(signal, name);
    assert.ok(ms < 1000, `${ms} ms`);
  });
}

test('two signals that come while the event loop is blocked end the process as soon as it goes on', {
  skip: process.platform === 'win32',
}, async () => {
  const { child, said } = await busy(
    `const say = (text) => writeSync(1, text); say('ready'); for (const end = Date.now() + 1500; Date.now() < end; ); say('on');`,
  );
  child.kill('SIGTERM');
  await wait(50);
  child.kill('SIGINT');
  assert.equal(await said(), 'on');
  const { signal, ms } = await ended(child);
  assert.ok(signal === 'SIGTERM' || signal === 'SIGINT', String(signal));
  assert.ok(ms < 1000, `${ms} ms`);
});

test('a command that is told twice is gone within a second', { skip: process.platform === 'win32' }, async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'signals-'));
  try {
    const child = start(['sample', '--out', 'pictures', '--per-class', '10000', '--quiet'], folder);
    const end = ended(child);
    while (!(await readdir(folder)).some((name) => name.includes('pictures'))) await wait(20);
    child.kill('SIGINT');
    await wait(20);
    const told = performance.now();
    child.kill('SIGINT');
    const { code, signal } = await end;
    assert.ok(code === 130 || signal === 'SIGINT', `${code} ${signal}`);
    assert.ok(performance.now() - told < 1000);
  } finally {
    await rm(folder, { recursive: true });
  }
});
