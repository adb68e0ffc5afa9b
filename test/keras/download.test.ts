import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { DownloadError } from '../../src/errors.js';
import { downloadWeights } from '../../src/keras/index.js';
import { fixture } from '../helpers/fixtures.js';

const content = readFileSync(fixture('keras/flat.weights.h5'));
const md5 = createHash('md5').update(content).digest('hex');
const source = { file: 'weights.h5', url: 'http://127.0.0.1:9/weights.h5', hash: md5 };

async function withServer(listener: RequestListener, use: (baseUrl: string, cacheDir: string) => Promise<void>) {
  const server = createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const cacheDir = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keras`, cacheDir);
  } finally {
    rmSync(cacheDir, { recursive: true });
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
}

describe('downloading weights', () => {
  test('brings the file, shows progress, and reuses what is there', async () => {
    let requests = 0;
    await withServer(
      (request, response) => {
        requests++;
        assert.equal(request.url, '/keras/weights.h5');
        response.setHeader('content-length', content.length);
        response.end(content);
      },
      async (baseUrl, cacheDir) => {
        const seen: [number, number | null][] = [];
        const options = { baseUrl, cacheDir, onProgress: (a: number, b: number | null) => void seen.push([a, b]) };
        const file = await downloadWeights(source, options);
        assert.deepEqual(readFileSync(file), content);
        assert.deepEqual(seen.at(-1), [content.length, content.length]);
        assert.equal(await downloadWeights(source, options), file);
        assert.equal(requests, 1);
        writeFileSync(file, 'damaged since');
        await downloadWeights(source, options);
        assert.equal(requests, 2, 'a file with another hash is fetched again');
        assert.deepEqual(readFileSync(file), content);
      },
    );
  });

  const failing: [string, RequestListener, Partial<typeof source> | { hash: null }, RegExp][] = [
    [
      'a wrong hash',
      (_, response) => void response.end(content),
      { hash: '0'.repeat(32) },
      /does not have the published hash 0000/,
    ],
    ['a page in the place of a file', (_, response) => void response.end('<html>'), { hash: null }, /is no HDF5 file/],
    ['not found', (_, response) => void response.writeHead(404).end(), {}, /HTTP 404/],
    [
      'a cut connection',
      (_, response) => {
        response.setHeader('content-length', content.length);
        response.write(content.subarray(0, 1000), () => setTimeout(() => response.destroy(), 20));
      },
      {},
      /could not be downloaded/,
    ],
  ];
  for (const [name, listener, change, message] of failing) {
    test(`${name}: nothing is left behind, and the error says what to put where`, async () => {
      await withServer(listener, async (baseUrl, cacheDir) => {
        await assert.rejects(downloadWeights({ ...source, ...change }, { baseUrl, cacheDir }), (error: Error) => {
          assert.ok(error instanceof DownloadError);
          assert.match(error.message, message);
          assert.ok(error.message.includes(`put it at ${path.join(cacheDir, 'weights.h5')}`), error.message);
          return true;
        });
        assert.deepEqual(readdirSync(cacheDir), []);
      });
    });
  }

  test('no network: the error names the file, the URL and the place', async () => {
    const cacheDir = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
    const failing = downloadWeights(source, { cacheDir });
    await assert.rejects(
      failing,
      /http:\/\/127\.0\.0\.1:9\/weights\.h5 could not be downloaded .*fetch .* put it at .*weights\.h5/,
    );
    assert.deepEqual(readdirSync(cacheDir), []);
    rmSync(cacheDir, { recursive: true });
  });
});
