import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

test('this Node knows how to collect garbage less often, beside a small heap and a large one', () => {
  const script = `
    const { collectSeldom } = await import(${JSON.stringify(new URL('../../pipeline/garbage.js', import.meta.url).href)});
    for (const objects of [1, 1_000_000]) {
      globalThis.held = Array.from({ length: objects }, (_, i) => ({ i }));
      performance.now = () => 1e6 * objects;
      collectSeldom();
    }
    console.log('done');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  assert.deepEqual([stdout, stderr], ['done\n', ''], 'an unknown flag of V8 is told on stderr');
});
