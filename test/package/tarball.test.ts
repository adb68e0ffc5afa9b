import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { root } from '../helpers/fixtures.js';

describe('the package that npm would publish', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-pack-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  let tarball: Uint8Array;
  let files: readonly string[];

  before(async () => {
    // Without scripts: what is built is being tested, and `prepack` would build it anew below it.
    await promisify(execFile)('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], {
      cwd: root,
      shell: process.platform === 'win32',
    });
    tarball = readFileSync(path.join(folder, readdirSync(folder)[0] ?? ''));
    files = createPackageFromTarballData(tarball)
      .listFiles()
      .map((file) => file.replace('/node_modules/permafrost/', ''));
  });

  test('publint finds nothing', async () => {
    const { messages, pkg } = await publint({ pack: { tarball: Uint8Array.from(tarball).buffer }, strict: true });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg, { color: false })),
      [],
    );
  });

  test('the types are right wherever an ES module can be imported', async () => {
    const result = await checkPackage(createPackageFromTarballData(tarball));
    assert.ok(result.types, 'it has types');
    assert.deepEqual(
      result.problems.filter(({ kind }) => kind !== 'CJSResolvesToESM'),
      [],
    );
  });

  test('it holds what runs, its types and its pages, and nothing else', () => {
    const allowed =
      /^(dist\/src\/.*\.(js|d\.ts)|dist\/pipeline\/.*\.js|base\/(README\.md|imagenet_classes\.txt|xception_mini\.keras)|docs\/\w+\.md|(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|LICENSE|package\.json)$/;
    assert.deepEqual(
      files.filter((file) => !allowed.test(file)),
      [],
    );
    for (const file of [
      'dist/src/index.js',
      'dist/src/index.d.ts',
      'dist/pipeline/cli.js',
      'base/xception_mini.keras',
    ]) {
      assert.ok(files.includes(file), `${file} is in the package`);
    }
    for (const file of files.filter((name) => name.endsWith('.js'))) {
      assert.ok(
        !readFileSync(path.join(root, file), 'utf8').includes('sourceMappingURL'),
        `${file} names no source map`,
      );
    }
  });

  test('what is imported for what it does, not for what it exports, is named in sideEffects: a bundler keeps it', () => {
    const { sideEffects } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      sideEffects: string[];
    };
    let found = 0;
    for (const file of files.filter((name) => name.endsWith('.js'))) {
      for (const [, to = ''] of readFileSync(path.join(root, file), 'utf8').matchAll(/^import '(\.[^']+)'/gm)) {
        const target = `./${path.posix.join(path.posix.dirname(file), to)}`;
        assert.ok(sideEffects.includes(target), `${file} imports ${target}, which sideEffects in package.json lacks`);
        found++;
      }
    }
    assert.ok(found > 0, 'such imports are found');
  });

  test('its pages link to what it holds', () => {
    for (const page of files.filter((file) => file.endsWith('.md'))) {
      for (const [, to = ''] of readFileSync(path.join(root, page), 'utf8').matchAll(/\]\(([^)#\s:]+)(?:#[^)]*)?\)/g)) {
        const target = path.posix.join(path.posix.dirname(page), to);
        assert.ok(files.includes(target), `${page} links to ${to}, which is not in the package`);
      }
    }
  });
});
