import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { LabelError } from '../../src/errors.js';
import { type LabelFileOptions, labelsFromFile } from '../../src/labels/label-file.js';

export const sha = (name: string): string => createHash('sha256').update(name).digest('hex');
export const files = (...paths: string[]) => paths.map((path) => ({ path, sha256: sha(path) }));

/** @returns a reader of label texts over some images, in a folder that is gone after the tests of the file */
export function labelReader(...images: string[]) {
  const dir = mkdtempSync(join(tmpdir(), 'permafrost-labels-'));
  after(() => rmSync(dir, { recursive: true }));
  return (text: string | Uint8Array, options: LabelFileOptions = {}, name = 'labels.csv') => {
    writeFileSync(join(dir, name), text);
    return labelsFromFile(join(dir, name), '/data', files(...images), options);
  };
}

/** Checks that it ends with a LabelError whose message fits. */
export const refused = (run: Promise<unknown> | (() => unknown), pattern: RegExp): Promise<void> =>
  assert.rejects(
    async () => (typeof run === 'function' ? run() : run),
    (error: Error) => {
      assert.ok(error instanceof LabelError, `${error}`);
      assert.match(error.message, pattern);
      return true;
    },
  );
