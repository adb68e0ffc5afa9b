import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { predict } from '../../src/commands/predict.js';
import { folderOf, type Sorted, Sorter } from '../../src/commands/sort-into.js';
import { train } from '../../src/commands/train.js';
import { placeFile, realSystem } from '../../src/files/index.js';
import { features } from '../../src/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture, root } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder, systemError } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;
let made: { data: string; cache: string };

before(async (t) => {
  const context = t as unknown as TestContext;
  const data = await pictures(context, 12);
  const cache = path.join(await folder(context), 'cache');
  await features({ ...BASE, data, cache, threads: 1 });
  await train({ ...BASE, data, cache, name: 'h', epochs: 30, learningRate: 0.05, bootstrap: 0 });
  made = { data, cache };
});

const below = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(path.join(dir, name)).isFile())
    .sort();

async function sort(
  options: Partial<Parameters<typeof predict>[0]>,
): Promise<{ sorted: Sorted; labels: Map<string, string> }> {
  let sorted: Sorted | undefined;
  const labels = new Map<string, string>();
  const all = predict({ cache: made.cache, head: 'h', threads: 1, onSorted: (one) => (sorted = one), ...options });
  for await (const { path: file, label } of all) if (label !== undefined) labels.set(file, label);
  return { sorted: sorted as Sorted, labels };
}

test('images are linked into one folder a class; a second run finds them there', async (t) => {
  const dir = path.join(await folder(t), 'sorted');
  const { sorted, labels } = await sort({ paths: [made.data], sortInto: dir });
  assert.equal(sorted.linked, 12, 'what is no image is in none');
  assert.deepEqual(below(dir), [...labels].map(([file, label]) => path.join(label, path.basename(file))).sort());
  for (const [file, label] of labels)
    assert.equal(statSync(path.join(dir, label, path.basename(file))).ino, statSync(file).ino);
  const again = await sort({ paths: [made.data], sortInto: dir });
  assert.deepEqual(again.sorted, { ...sorted, linked: 0, there: 12 });
});

test('of two images of one name the second gets digits of its content; other files are never written over', async (t) => {
  const work = await folder(t);
  const names = ['a', 'b'].map((side, i) => {
    mkdirSync(path.join(work, side));
    const file = path.join(work, side, 'x.png');
    cpSync(path.join(made.data, 'dark', `${2 * i + 1}.png`), file);
    return file;
  });
  symlinkSync('x.png', path.join(work, 'a', 'link.png'));
  const dir = path.join(await folder(t), 'sorted');
  mkdirSync(path.join(dir, 'dark'), { recursive: true });
  writeFileSync(path.join(dir, 'dark', 'link.png'), 'mine');
  const paths = [path.join(work, 'a'), path.join(work, 'b')];
  const { sorted } = await sort({ paths, sortInto: dir });
  assert.deepEqual([sorted.linked, sorted.renamed, sorted.there], [3, 2, 0]);
  const found = below(path.join(dir, 'dark'));
  assert.equal(found.length, 4);
  assert.match(found.join(), /^link-[0-9a-f]{8}\.png,link\.png,x-[0-9a-f]{8}\.png,x\.png$/);
  assert.equal(readFileSync(path.join(dir, 'dark', 'link.png'), 'utf8'), 'mine');
  assert.deepEqual(readFileSync(path.join(dir, 'dark', 'x.png')), readFileSync(names[0] as string));
  const again = await sort({ paths, sortInto: dir });
  assert.deepEqual([again.sorted.linked, again.sorted.renamed, again.sorted.there], [0, 0, 3]);
  assert.deepEqual(below(path.join(dir, 'dark')), found);
});

test('where a disk has no links files are copied whole, or not at all', async (t) => {
  const dir = await folder(t);
  const from = path.join(made.data, 'dark', '1.png');
  const to = path.join(dir, '1.png');
  const link = async (): Promise<never> => {
    throw systemError('EXDEV');
  };
  const system = { ...realSystem, link };
  const full = { ...system, rename: () => Promise.reject(systemError('ENOSPC')) };
  await assert.rejects(placeFile(from, to, { system: full }), { code: 'ENOSPC' });
  assert.deepEqual(readdirSync(dir), []);
  assert.equal(await placeFile(from, to, { system }), 'copied');
  assert.deepEqual(readFileSync(to), readFileSync(from));
  assert.notEqual(statSync(to).ino, statSync(from).ino);
  assert.equal(await placeFile(from, to, { system }), 'there');
  writeFileSync(to, 'mine');
  assert.equal(await placeFile(from, to, { system }), 'taken');
  assert.equal(readFileSync(to, 'utf8'), 'mine');
  assert.deepEqual(readdirSync(dir), ['1.png']);
});

test('a folder within the images, or around them, is refused, as is a file in its place', async (t) => {
  for (const sortInto of [path.join(made.data, 'sorted'), made.data, path.dirname(made.data)]) {
    await assert.rejects(sort({ paths: [made.data], sortInto }), {
      name: 'UsageError',
      message: /^sortInto .* lie within each other: give a folder beside them$/,
    });
  }
  const dir = await folder(t);
  writeFileSync(path.join(dir, 'file'), '');
  await assert.rejects(sort({ paths: [made.data], sortInto: path.join(dir, 'file') }), { name: 'FileError' });
});

test('names of classes become names of folders that every system takes, each its own', () => {
  const labels = ['ok', 'a/b', 'a%2Fb', '..', '.x', 'con', 'CON', 'Aux.x', 'x.', 'a:b', 'é', 'a b'];
  assert.deepEqual(labels.map(folderOf), [
    ...['ok', 'a%2Fb', 'a%252Fb', '%2E%2E', '%2Ex', '%63on', '%43ON', '%41ux.x', 'x%2E', 'a%3Ab', 'é', 'a b'],
  ]);
});

test('two classes that a disk has one folder for are not mixed; what lies in another class’s folder is told', async (t) => {
  const dir = await folder(t);
  const image = { absolute: path.join(made.data, 'dark', '1.png'), sha256: '0'.repeat(64) };
  mkdirSync(path.join(dir, 'Ant'));
  symlinkSync('Ant', path.join(dir, 'ant')); // as a disk that does not tell letters' cases apart has it
  const sorter = await Sorter.open(dir, { classes: ['Ant', 'ant', 'bee'] }, []);
  await sorter.sort({ ...image, labels: ['Ant'] });
  await assert.rejects(sorter.sort({ ...image, labels: ['ant'] }), /has one folder for the classes Ant and ant/);
  const next = await Sorter.open(dir, { classes: ['Ant', 'bee'] }, []);
  await next.sort({ ...image, labels: ['bee'] });
  await next.sort({ ...image, labels: [] });
  assert.deepEqual([next.sorted.linked, next.sorted.elsewhere, next.sorted.unsaid], [1, 2, 1]);
});

test('the command: what is not sure is not sorted, the likeliest class alone is said, and the end tells all', async (t) => {
  const work = await folder(t);
  const args = ['predict', made.data, '--head', 'h', '--cache', made.cache, '--quiet'];
  const all = (await permafrost([...args, '--json'], work)).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const scores = all.flatMap(({ score }) => (score === undefined ? [] : [score])).sort();
  const least = scores[6];
  const some = await permafrost(
    [...args.slice(0, -1), '--sort-into', 'sorted', '--min-score', String(least), '--top', '1', '--out', 'x.jsonl'],
    work,
  );
  assert.equal(some.code, 0, some.stderr);
  assert.match(some.stderr, /broken\.png cannot be used: it is named like an image but is none\n/);
  assert.match(some.stderr, /sorted into .*sorted; dark: \d.*; 6 linked, 6 images without a label left out\n/);
  assert.match(some.stderr, /\n12 images predicted with h, 1 cannot be used, in .* -> x\.jsonl\n$/);
  const rows = readFileSync(path.join(work, 'x.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(rows.length, 13);
  assert.deepEqual(
    rows.map(({ error, label, scores: top }) => [error !== undefined, label === '', top?.length]),
    all.map(({ error, score }) => [error !== undefined, score < least, error === undefined ? 1 : undefined]),
  );
  assert.equal(below(path.join(work, 'sorted')).length, 6);

  const alone = await permafrost(['predict', path.join(made.data, 'dark', 'broken.png'), ...args.slice(2)], work);
  assert.deepEqual([alone.code, alone.stdout.split('\t').length], [1, 4]);
  assert.equal(alone.stderr, 'permafrost: the one image cannot be used: what is wrong stands in the rows\n');
  for (const [more, said] of [
    [['--json', '--format', 'csv'], '--json asks for another format than --format csv: give one of the two'],
    [
      ['--format', 'csv', '--out', 'x.arrow'],
      'x.arrow ends as a file of arrow and would hold csv: give one of the two',
    ],
    [['--out', 'x.xlsx'], 'a table is not written as .xlsx: give --out a file that ends in'],
  ] as const) {
    const wrong = await permafrost([...args, ...more], work);
    assert.equal(wrong.code, 2);
    assert.ok(wrong.stderr.startsWith(`permafrost: ${said}`), wrong.stderr);
  }
});

test('whoever reads the rows or the messages and leaves ends neither sorting nor stage one', async (t) => {
  const dir = await folder(t);
  const ends = async (words: string[], stream: 'stdout' | 'stderr'): Promise<{ code: unknown; told: string }> => {
    const child = spawn(process.execPath, [path.join(root, 'dist/pipeline/cli.js'), ...words]);
    child[stream].destroy();
    const other = stream === 'stdout' ? 'stderr' : 'stdout';
    let told = '';
    child[other].on('data', (chunk) => (told += chunk));
    const [code] = await once(child, 'close');
    return { code, told };
  };
  const words = ['predict', made.data, '--head', 'h', '--cache', made.cache];
  const sorted = await ends([...words, '--sort-into', path.join(dir, 'a')], 'stdout');
  assert.equal(sorted.code, 0, sorted.told);
  assert.match(sorted.told, /12 linked/);
  assert.equal(below(path.join(dir, 'a')).length, 12);
  assert.equal((await ends(words, 'stdout')).code, 0);
  const cache = path.join(dir, 'cache');
  const base = ['--base', BASE.base, '--layer', 'maps', '--preprocess', 'tf'];
  const stored = await ends(['features', '--data', made.data, '--cache', cache, ...base, '--json'], 'stderr');
  assert.equal(stored.code, 0);
  assert.equal(JSON.parse(stored.told).extracted, 12);
});
