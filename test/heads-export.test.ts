import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { permafrost } from './helpers/cli.js';

const work = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(work, { recursive: true }));

test('the same head gives the same bytes, and a joined .keras or .h5 is a base again', async () => {
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await permafrost([...args, '--quiet'], work);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await run('sample', '--per-class', '20');
  await run('features', '--data', 'data/sample');
  await run('train', '--data', 'data/sample', '--name', 'h', '--epochs', '20');
  const picture = 'data/sample/val/ok';
  const expected = (await run('predict', picture, '--head', 'h', '--json')).trim().split('\n');
  for (const format of ['keras', 'h5']) {
    const out = `joined.${format}`;
    const bytes: Buffer[] = [];
    for (let i = 0; i < 2; i++) {
      await run('export', '--head', 'h', '--format', format, '--with-base', '--out', out);
      bytes.push(readFileSync(path.join(work, out)));
    }
    assert.ok(bytes[0]?.equals(bytes[1] as Buffer));
    const found = await run('classify', picture, '--base', `./${out}`, '--preprocess', 'none', '--json');
    for (const [i, line] of found.trim().split('\n').entries()) {
      const [second] = Object.values(JSON.parse(expected[i] ?? '').scores as Record<string, number>).slice(1);
      assert.ok(Math.abs(JSON.parse(line).top[0].score - (second ?? Number.NaN)) <= 1e-5);
    }
  }
});
