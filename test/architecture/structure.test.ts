import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { root } from '../helpers/fixtures.js';

/** What each room may take from besides `options` and the files at the top of `src/`: docs/architecture.md draws it. */
const MAY_TAKE: Readonly<Record<string, readonly string[]>> = {
  options: [],
  files: [],
  formats: [],
  metrics: ['formats'],
  sample: [],
  maps: [],
  graph: ['formats'],
  images: ['files', 'formats'],
  labels: ['files', 'formats'],
  sources: ['files', 'images'],
  keras: ['files', 'formats', 'graph'],
  engine: ['formats', 'graph'],
  quantize: ['formats', 'engine'],
  base: ['files', 'formats', 'graph', 'images', 'keras', 'engine', 'quantize'],
  store: ['files', 'formats'],
  extract: ['files', 'images', 'sources', 'base', 'store', 'engine', 'quantize'],
  train: ['files', 'formats', 'labels', 'engine'],
  explain: ['maps', 'train'],
  heads: ['files', 'formats', 'labels', 'metrics', 'train', 'store', 'engine'],
  report: ['labels', 'metrics', 'train', 'heads'],
};
/** Which rooms take from all below them. */
const ABOVE = ['commands', 'index.ts', 'pipeline'];

const files = (folder: string): string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.posix.join(folder, name.replaceAll(path.sep, '/')));

/** The files of the project that a file imports, types too. */
function imports(file: string): string[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  return [...text.matchAll(/(?:from|import\(|^import)\s*'(\.[^']+)'/gm)].map(([, to = '']) =>
    path.posix.join(path.posix.dirname(file), to.replace(/\.js$/, '.ts')),
  );
}

const roomOf = (file: string): string => {
  const [top = '', room = '', ...rest] = file.split('/');
  return top !== 'src' ? top : rest.length > 0 || room === 'index.ts' ? room : 'top';
};

const all = [...files('src'), ...files('pipeline')];

test('imports go one way, from room to room', () => {
  assert.ok(all.length > 150, 'the sources are read');
  for (const file of all) {
    const from = roomOf(file);
    for (const to of imports(file).map(roomOf)) {
      if (to === from || ((to === 'top' || to === 'options') && from !== 'pipeline')) continue;
      const above = ABOVE.indexOf(from);
      const mayTake = above < 0 ? MAY_TAKE[from]?.includes(to) : !ABOVE.includes(to) || ABOVE.indexOf(to) < above;
      assert.ok(mayTake, `${file} takes from ${to}, which ${from} may not`);
    }
  }
});

test('no file imports itself by way of others', () => {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    assert.ok(!way.includes(file), `a circle of imports: ${[...way, file].join(' -> ')}`);
    if (done.has(file)) return;
    for (const next of imports(file)) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of all) visit(file, []);
});

/** Files that may be longer, and their lines: tables. */
const LONG: Readonly<Record<string, number>> = { 'src/options/table.ts': 2000 };

test('a file of src holds one noun: at most 350 lines', () => {
  for (const file of files('src')) {
    const lines = readFileSync(path.join(root, file), 'utf8').split('\n').length - 1;
    assert.ok(
      lines <= (LONG[file] ?? 350),
      `${file} has ${lines} lines: split it, or list it here where it is a table`,
    );
  }
});

test('onnxruntime is loaded in one place, which keeps it from sending what it is used for', () => {
  const loads = all.filter((file) => readFileSync(path.join(root, file), 'utf8').includes("'onnxruntime-node'"));
  assert.deepEqual(loads, ['src/engine/onnx/runtime.ts']);
});

/** What the project's top level holds. What is kept by mistake, as a profiler's log, mostly lies beside it. */
const TOP_LEVEL =
  '.ci .gitignore CHANGELOG.md CONTRIBUTING.md LICENSE Makefile README.md SECURITY.md base bench biome.json cache data docs ' +
  'examples package-lock.json package.json pipeline python src test tsconfig.json';

test('at the top level nothing is kept but what belongs there', (t) => {
  const { status, stdout } = spawnSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) return t.skip('no checkout of git');
  const names = new Set(
    stdout
      .trim()
      .split('\n')
      .map((name) => name.split('/')[0]),
  );
  assert.deepEqual([...names].sort(), TOP_LEVEL.split(' ').sort());
});
