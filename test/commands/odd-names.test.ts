import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { features, predict, train } from '../../src/index.js';
import { nameOf } from '../../src/plain.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;
const onLinux = { skip: process.platform === 'linux' ? false : 'names of files are bytes on Linux' };
const bytes = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

test('a name that is no UTF-8 becomes a text of its own', () => {
  assert.equal(nameOf(Buffer.from('café 猫.png')), 'café 猫.png');
  assert.equal(nameOf(Buffer.from('a\\b')), 'a\\b');
  assert.equal(nameOf(bytes('caf', [0xe9], '.jpg')), 'caf\\xe9.jpg');
  assert.equal(nameOf(bytes([0xff], 'é\\', [0xe7, 0x8c])), '\\xffé\\\\\\xe7\\x8c');
  assert.equal(nameOf(bytes([0xed, 0xb3, 0xbf])), '\\xed\\xb3\\xbf', 'a surrogate is no letter');
});

test(
  'pictures whose names are no UTF-8, or hold control characters: vectors, labels, predictions, folders',
  onLinux,
  async (t) => {
    const data = await pictures(t, 12);
    const at = (...parts: (string | number[])[]): Buffer => bytes(data, '/', ...parts);
    const raw: [string, Buffer][] = [
      ['dark/1.png', at('dark/caf', [0xe9], '.png')],
      ['dark/3.png', at('dark/caf', [0xe8], '.png')],
      ['light/2.png', at('light/a\nb\u001b[31m.png')],
      ['light/4.png', at('light/', [0xff], '/4.png')],
    ];
    mkdirSync(at('light/', [0xff]));
    for (const [from, to] of raw) renameSync(path.join(data, from), to);
    const work = await folder(t);
    const cache = path.join(work, 'cache');
    const told: string[] = [];
    const { extracted } = await features({ ...BASE, data, cache, threads: 1, onWarning: (line) => told.push(line) });
    assert.equal(extracted, 12);
    const { classes } = await train({ ...BASE, data, cache, name: 'h', epochs: 2, bootstrap: 0 });
    assert.deepEqual(classes, ['dark', 'light']);

    const names: string[] = [];
    for await (const one of predict({ head: 'h', cache, paths: [data] })) names.push(path.relative(data, one.path));
    for (const name of ['dark/caf\\xe8.png', 'dark/caf\\xe9.png', 'light/a\nb\u001b[31m.png', 'light/\\xff/4.png'])
      assert.ok(names.includes(name), name);

    // The table of predictions is a file of labels again, each row of which finds its image.
    const csv = path.join(work, 'x.csv');
    const args = ['--head', 'h', '--cache', cache, '--quiet'];
    const said = await permafrost(['predict', data, ...args, '--out', csv, '--sort-into', 'sorted'], work);
    assert.equal(said.code, 0, said.stderr);
    const text = readFileSync(csv, 'utf8');
    assert.ok(!text.includes('\u001b') && !text.includes('\ufffd'));
    assert.equal(text.trim().split('\n').length, 14);
    const labels = path.join(work, 'labels.csv');
    const rows = names
      .filter((name) => !name.includes('broken'))
      .map((name) => {
        const written = text
          .split('\n')
          .find((line) => line.startsWith(path.join(data, name.replace('\n', '\\x0a').replace('\u001b', '\\x1b'))));
        assert.ok(written, name);
        return `${written.split(',')[0]},${name.split('/')[0]}`;
      });
    writeFileSync(labels, `path,label\n${rows.join('\n')}\n`);
    const byFile = await train({ ...BASE, data, cache, labels, name: 'f', epochs: 2, bootstrap: 0 });
    assert.equal(byFile.train + byFile.val, 12);
    const sorted = readdirSync(path.join(work, 'sorted'), { recursive: true, encoding: 'utf8' });
    assert.ok(
      sorted.some((name) => name.endsWith('caf\\xe9.png')) && sorted.some((name) => name.endsWith('caf\\xe8.png')),
    );

    writeFileSync(at('dark/caf\\xe9.png'), readFileSync(raw[0]?.[1] as Buffer));
    await assert.rejects(features({ ...BASE, data, cache }), {
      name: 'DataError',
      message: /dark holds two names that are both written caf\\xe9\.png, as one of them is no UTF-8: rename one$/,
    });
  },
);

test(
  'a list of names that are no UTF-8, and such a name on the command line, are refused in one sentence',
  onLinux,
  async (t) => {
    const work = await folder(t);
    for (const end of ['\n', '\0']) {
      writeFileSync(path.join(work, 'list'), bytes('a.png', end, 'caf', [0xe9], '.png', end));
      const all = predict({ head: 'h', cache: work, from: path.join(work, 'list') });
      await assert.rejects(all.next(), {
        name: 'DataError',
        message: 'the list of names holds caf\\xe9.png, which is no UTF-8: rename it, or give its folder',
      });
    }
    await assert.rejects(features({ ...BASE, data: 'caf\ufffd', cache: work }), {
      message:
        /there is no such folder \(a name that is no UTF-8 cannot be given: rename it, or give the folder above it\)/,
    });
  },
);
