import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { root } from '../helpers/fixtures.js';

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  ...['base', 'bench', 'cache', 'data'].map((folder) => `${folder}/README.md`),
];
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** The text without code, in which a bracket is no link. */
const prose = (text: string): string => text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');

/** What a heading is called in a link, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Mark}\p{Number} _-]/gu, '')
    .replaceAll(' ', '-');

const anchors = (text: string): Set<string> =>
  new Set(
    [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => anchorOf(title)),
  );

const namedIn = (file: string, pattern: RegExp): [string, string][] =>
  Array.from(read(file).matchAll(pattern), ([name]) => [file, name]);

test('every link of the pages leads somewhere', () => {
  let links = 0;
  for (const page of pages) {
    for (const [, to = ''] of prose(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https:/.test(to)) continue;
      links++;
      const [file = '', anchor] = to.split('#');
      const target = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
      assert.ok(existsSync(path.join(root, target)), `${page} links to ${to}: there is no ${target}`);
      if (anchor !== undefined) {
        assert.ok(anchors(read(target)).has(anchor), `${page} links to ${to}: ${target} has no such heading`);
      }
    }
  }
  assert.ok(links >= 20, `${links} links are found`);
});

test('every page of docs/ is linked from the README, which fits on one page', () => {
  const readme = read('README.md');
  for (const page of pages.filter((name) => name.startsWith('docs/'))) {
    assert.ok(readme.includes(`](${page})`), `README.md does not link ${page}`);
  }
  const lines = readme.trimEnd().split('\n').length;
  assert.ok(lines <= 120, `README.md has ${lines} lines, at most 120 are allowed`);
});

test('files that the pages name, and pages that the code cites, are there', () => {
  const sources = ['src', 'pipeline', 'test', 'bench'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => path.posix.join(folder, name.replaceAll(path.sep, '/'))),
  );
  const named = [
    ...pages.flatMap((page) =>
      namedIn(page, /(?<![\w/])(?:src|pipeline|test|bench|docs|base)\/[\w./-]*\.(?:ts|py|md|txt)\b/g),
    ),
    ...sources.flatMap((source) => namedIn(source, /\bdocs\/\w+\.md\b|\b[A-Z]{4,}\.md\b/g)),
  ];
  assert.ok(named.length >= 20, `${named.length} files are named`);
  for (const [from, file] of named)
    assert.ok(existsSync(path.join(root, file)), `${from} names ${file}: it is not there`);
});

test('docs/architecture.md has every room', () => {
  const page = read('docs/architecture.md');
  for (const { name } of readdirSync(path.join(root, 'src'), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  )) {
    assert.match(page, new RegExp(`^  .*\\b${name}/`, 'm'), `docs/architecture.md does not draw src/${name}/`);
    assert.match(
      page,
      new RegExp(`^\\|.*\`${name}\`.*\\|`, 'm'),
      `docs/architecture.md does not say what ${name} may take from`,
    );
  }
});
