import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { ModelError } from '../../src/errors.js';
import { withArchive } from '../../src/keras/archive.js';
import { Random } from '../../src/random.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { mutate } from '../helpers/mutate.js';
import { folder } from '../helpers/store.js';

const SCRIPT = fileURLToPath(new URL('../helpers/open-models.js', import.meta.url));

test('mutants of model files are opened or refused in one sentence: no crash, no hang, bounded memory', async (t) => {
  const work = await folder(t);
  const random = new Random('models');
  const names = ['tiny.keras', 'tiny.h5', 'flat.keras', 'flat.h5'];
  const files: string[] = [];
  for (let i = 0; i < (long ? 1000 : 60); i++) {
    const name = names[i % names.length] as string;
    const file = path.join(work, `${i}-${name}`);
    const other = readFileSync(fixture(`keras/${names[random.below(names.length)]}`));
    writeFileSync(file, mutate(readFileSync(fixture(`keras/${name}`)), random, other));
    files.push(file);
  }
  const told = await new Promise<string>((resolve, reject) => {
    const limits = { timeout: long ? 300_000 : 60_000, maxBuffer: 2 ** 26 };
    execFile(process.execPath, [SCRIPT, ...files], limits, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
  });
  const { results, rss } = JSON.parse(told) as { results: { name: string; message: string }[]; rss: number };
  assert.equal(results.length, files.length);
  const refused = results.filter(({ name }) => name !== 'opened');
  assert.ok(refused.length > files.length / 4, `${refused.length} refused`);
  for (const { name, message } of refused) {
    assert.match(name, /^(ModelError|WeightsError|UsageError)$/, message);
    assert.ok(message.length < 2000 && !message.includes('\n    at '), message);
  }
  assert.ok(rss < 1.5e9, `${rss} bytes`);
});

interface ZipEntry {
  readonly name: string;
  readonly bytes: Buffer;
  /** What the archive says that the entry inflates to. */
  readonly claims?: number;
}

/** A deflated zip file, whose central directory may lie; without the CRCs, which are not looked at before the sizes. */
function zip(entries: readonly ZipEntry[]): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, claims = bytes.length } of entries) {
    const deflated = deflateRawSync(bytes);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(deflated.length, 14);
    fields.writeUInt32LE(claims, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), deflated]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\0'), fields, rest, Buffer.from(name)]));
    files.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...files, central, end]);
}

test('a .keras archive inflates to no more than a model of its size, and to nothing beside its folder', async (t) => {
  const work = await folder(t);
  const file = path.join(work, 'inner.keras');
  const config = { name: 'config.json', bytes: Buffer.from('{}') };
  const weights = { name: 'model.weights.h5', bytes: Buffer.from('weights') };
  const open = async (...entries: ZipEntry[]): Promise<string> => {
    writeFileSync(file, zip(entries));
    return withArchive(file, async (archive) => `${archive.config} ${readFileSync(archive.weights, 'utf8')}`);
  };
  const refused = (entries: ZipEntry[], message: RegExp): Promise<void> =>
    assert.rejects(open(...entries), (error: Error) => error instanceof ModelError && message.test(error.message));

  assert.equal(await open(config, weights), '{} weights');
  const bomb = Buffer.alloc(2 ** 26 + 1);
  await refused([config, { ...weights, bytes: bomb }], /would be inflated to 67108865 bytes, more than a model/);
  await refused([{ ...config, bytes: bomb }, weights], /config\.json is larger than 67108864 bytes/);
  await refused([config, { ...weights, claims: 2 ** 32 - 2 }], /would be inflated to 4294967294 bytes/);
  // What claims to be small ends where the claim ends.
  await refused([config, { ...weights, bytes: bomb, claims: 100 }], /damaged or cut off/);
  await refused([config, weights, weights], /holds model\.weights\.h5 twice/);
  for (const name of ['../model.weights.h5', '/tmp/model.weights.h5', '..\\model.weights.h5', 'C:/model.weights.h5']) {
    await refused([config, { ...weights, name }], /damaged or cut off/);
  }
  // Other names are not written at all.
  await refused([config, { ...weights, name: 'a/model.weights.h5' }], /model\.weights\.h5 is missing/);
  assert.deepEqual(readdirSync(work), ['inner.keras']);
});
