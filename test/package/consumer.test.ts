import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { sample } from 'permafrost';
import { root } from '../helpers/fixtures.js';
import { isWrongUse, run, version } from './consumer.js';

const project = mkdtempSync(path.join(tmpdir(), 'permafrost-project-'));
after(() => rmSync(project, { recursive: true, force: true }));

/** The `ts` blocks of a page, each a module. */
const blocks = (page: string): string[] =>
  [...readFileSync(path.join(root, page), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);

/** A user's project that has the package installed, with every check on that TypeScript has. */
const OPTIONS = {
  target: 'ES2023',
  module: 'NodeNext',
  types: ['node'],
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
};

test('a strict TypeScript project compiles what it imports by name, and the code of the pages', async () => {
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ name: 'project', private: true, type: 'module' }));
  writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS }));
  mkdirSync(path.join(project, 'node_modules/@types'), { recursive: true });
  symlinkSync(root, path.join(project, 'node_modules/permafrost'));
  symlinkSync(path.join(root, 'node_modules/@types/node'), path.join(project, 'node_modules/@types/node'));
  copyFileSync(path.join(root, 'test/package/consumer.ts'), path.join(project, 'consumer.ts'));
  const pages = ['README.md', 'docs/library.md'];
  for (const page of pages) {
    const codes = blocks(page);
    assert.ok(codes.length > 0, `${page} has code`);
    for (const [i, code] of codes.entries()) {
      writeFileSync(path.join(project, `${path.basename(page, '.md')}-${i}.ts`), code);
    }
  }
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', project]).catch((error: { stdout?: string }) =>
    assert.fail(error.stdout ?? String(error)),
  );
});

test('what it imports by name runs', async () => {
  const data = path.join(project, 'pictures');
  await sample(data, { perClass: 8 });
  const said = await run(data, path.join(project, 'cache'), path.join(data, 'val'));
  assert.deepEqual(
    said.map(({ label = '', scores }) => [
      ['defect', 'ok'].includes(label),
      scores?.map((one: { label: string }) => one.label),
    ]),
    said.map(() => [true, ['defect', 'ok']]),
  );
  assert.equal(said.length, 4);
  assert.match(version, /^\d+\.\d+\.\d+$/);
  await assert.rejects(run(data, path.join(project, 'cache'), ''), isWrongUse);
  await assert.rejects(
    run(path.join(project, 'none'), path.join(project, 'cache'), data),
    (error) => !isWrongUse(error),
  );
});
