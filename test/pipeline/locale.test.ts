import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawable } from '../../pipeline/locale.js';
import { curveLines } from '../../pipeline/pictures.js';
import { permafrost } from '../helpers/cli.js';
import { folder } from '../helpers/store.js';

test('what is drawn is drawn in ASCII, as wide, where the locale is not UTF-8', () => {
  const record = (epoch: number, loss: number) => ({ epoch, loss, valLoss: null, valAccuracy: null });
  const [line = ''] = curveLines([8, 7, 6, 5, 4, 3, 2, 1].map((loss, i) => record(i + 1, loss)));
  assert.equal(line, '  loss       8.00 █▇▆▅▄▃▂▁ 1.00');
  assert.equal(drawable(line, { LC_ALL: 'C', LANG: 'en_US.UTF-8' }), '  loss       8.00 #*+=-:._ 1.00');
  for (const other of [{ LC_CTYPE: 'POSIX' }, { LANG: 'de_DE.ISO-8859-1' }, { LC_ALL: '', LANG: 'C' }]) {
    assert.equal(drawable('██░░ R² – Bär…', other), '##.. R2 - Bär~', JSON.stringify(other));
  }
  for (const utf8 of [{}, { LANG: 'C.UTF-8' }, { LC_ALL: 'en_US.utf8', LANG: 'C' }, { LC_CTYPE: 'UTF-8' }]) {
    assert.equal(drawable(line, utf8), line, JSON.stringify(utf8));
  }
});

test('summary holds ASCII alone in the locale C, line by line as wide', async (t) => {
  const dir = await folder(t);
  const args = ['summary', '--base', 'mobilenet', '--alpha', '0.25'];
  const [ascii, utf8] = await Promise.all(['C', 'C.UTF-8'].map((LC_ALL) => permafrost(args, dir, { LC_ALL })));
  assert.equal(ascii?.code, 0, ascii?.stderr);
  assert.match(ascii?.stdout ?? '', /^[\x20-\x7e\n]+$/);
  assert.match(utf8?.stdout ?? '', /┏━/);
  const widths = (text = ''): number[] => text.split('\n').map((line) => line.length);
  assert.deepEqual(widths(ascii?.stdout), widths(utf8?.stdout));
});
