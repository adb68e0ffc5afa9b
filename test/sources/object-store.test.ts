import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import sharp from 'sharp';
import { FeatureSet, features } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { type FoundFile, readImage, walk } from '../../src/sources/index.js';
import { ObjectClient } from '../../src/sources/s3/client.js';
import { useClient } from '../../src/sources/s3/source.js';
import { permafrost, start } from '../helpers/cli.js';
import { ObjectStore } from '../helpers/object-store.js';
import { needsPython } from '../helpers/peers.js';
import { folder } from '../helpers/store.js';

const base = 'xception-mini';

/** A picture of its own for every seed. */
async function picture(seed: number): Promise<Buffer> {
  const random = new Random(seed);
  const data = Buffer.from(Array.from({ length: 24 * 16 * 3 }, () => Math.floor(random.uniform() * 256)));
  return sharp(data, { raw: { width: 24, height: 16, channels: 3 } })
    .png()
    .toBuffer();
}

const listed = async (address: string): Promise<FoundFile[]> => {
  const found: FoundFile[] = [];
  for await (const file of walk(address)) found.push(file);
  return found;
};

/** Vectors by content. */
async function vectorsOf(dir: string): Promise<Map<string, string>> {
  const set = await FeatureSet.open(dir);
  const keys = await set.keys();
  const names = Array.from({ length: keys.size }, (_, i) => Buffer.from(keys.at(i)).toString('hex')).sort();
  const { found, vectors } = await set.read(names);
  const d = set.spec.features;
  return new Map(
    [...found].map((at, row) => [
      names[at] as string,
      Buffer.from(vectors.slice(row * d, (row + 1) * d).buffer).toString('hex'),
    ]),
  );
}

describe('images in an object store', needsPython('moto', 'boto3'), () => {
  let store: ObjectStore;
  const impatient = { tries: 12, firstTries: 3, wait: 1, longestWait: 20, silence: 400 };
  const settings = () => ({
    credentials: { accessKeyId: store.accessKeyId, secretAccessKey: store.secretAccessKey },
    region: 'us-east-1',
    endpoint: store.endpoint,
  });
  const tried = (patience = impatient) => useClient(new ObjectClient(settings(), patience));
  before(async () => {
    store = await ObjectStore.start();
  });
  beforeEach(() => {
    store.fault = () => undefined;
    store.gets();
    tried();
  });
  after(async () => {
    useClient(undefined);
    await store.stop();
  });

  test('503s, slow, cut and broken answers cost time and nothing else; a rerun reads nothing', async (t) => {
    const local = await folder(t);
    const data = path.join(local, 'data');
    for (let i = 0; i < 40; i++) {
      const name = `${i % 2 === 0 ? 'a cat' : 'dög+&%'}/${i}.png`;
      const bytes = await picture(i);
      mkdirSync(path.dirname(path.join(data, name)), { recursive: true });
      writeFileSync(path.join(data, name), bytes);
      await store.put(`faults/${name}`, bytes);
    }
    await store.put('faults/notes.txt', Buffer.from('no image'));
    await store.put('faults/.hidden/1.png', await picture(1000));
    await store.put('faults-of-others/1.png', await picture(1001));
    const random = new Random(7);
    let faults = 0;
    store.fault = (passing) => {
      const draw = random.uniform();
      if (draw > 0.6) return undefined;
      faults++;
      if (draw < 0.15) return 'reset';
      if (draw < 0.3) return 'cut';
      if (draw < 0.32) return 'silence';
      if (draw < 0.4 && passing.url.includes('list-type')) {
        passing.bytes = passing.bytes.subarray(0, passing.bytes.length / 2);
        return undefined;
      }
      passing.status = draw < 0.5 ? 503 : 500;
      passing.bytes = Buffer.from('<Error><Code>SlowDown</Code></Error>');
      return undefined;
    };
    const cache = path.join(local, 'cache');
    const done = await features({ data: 's3://pics/faults', base, cache });
    assert.ok(faults > 20, `${faults} faults`);
    assert.deepEqual([done.images, done.extracted, done.quarantined, done.ignored], [40, 40, 0, 1]);
    assert.equal(store.gets().length, 41, 'each object came once');
    const alone = await features({ data, base, cache: path.join(local, 'other') });
    assert.deepEqual(await vectorsOf(done.dir), await vectorsOf(alone.dir));
    const again = await features({ data: 's3://pics/faults/', base, cache });
    assert.deepEqual([again.extracted, again.reused], [0, 40]);
    const there = await features({ data, base, cache });
    assert.deepEqual([there.extracted, there.reused], [0, 40], 'where an image lies says nothing');
    assert.deepEqual(store.gets(), []);
    await store.put('faults/a cat/0.png', await picture(500));
    store.fault = () => undefined;
    const changed = await features({ data: 's3://pics/faults', base, cache });
    assert.deepEqual([changed.extracted, changed.reused], [1, 39]);
    assert.equal(store.gets().length, 1);
  });

  test('more than one page; names of every kind; what is read is what was put', async () => {
    const names = [
      ...[
        'a b',
        'plus+plus',
        '100%',
        '%41',
        'q?x=1&y',
        'hash#1',
        "it's (1)!*",
        'ü',
        '日本',
        '😀',
        'semi;colon',
        'a//b',
      ],
      ...['<x>&amp;', '"quoted"', 'back\\slash', '~tilde', '=', ':', '@'],
    ];
    for (const [i, name] of names.entries()) await store.put(`names/${name}.png`, await picture(2000 + i));
    for (let i = 0; i < 1100; i++) await store.put(`names/many/${i}`, Buffer.from(`x${i}`));
    const found = await listed('s3://pics/names');
    const many = found.filter((file) => file.path.startsWith('many/'));
    assert.equal(new Set(many.map((file) => file.path)).size, 1100);
    const rest = found.filter((file) => !file.path.startsWith('many/'));
    assert.deepEqual(rest.map((file) => file.path).sort(), names.map((name) => `${name}.png`).sort());
    for (const [i, name] of names.entries()) {
      const file = rest.find((one) => one.path === `${name}.png`) as FoundFile;
      assert.deepEqual((await readImage(file))?.bytes, await picture(2000 + i), name);
      const [alone] = await listed(`s3://pics/names/${name}.png`);
      assert.deepEqual({ ...alone, path: file.path }, file, `${name} alone`);
    }
    assert.equal(await readImage(many[0] as FoundFile), null, 'neither named nor made like an image');
  });

  test('an object that is replaced, removed, spoilt on the way or of an odd server', async () => {
    const [first, second] = [await picture(1), await picture(2)];
    await store.put('odd/1.png', first);
    const [file] = (await listed('s3://pics/odd')) as [FoundFile];
    await store.put('odd/1.png', second);
    await assert.rejects(readImage(file), /^ImageError: was replaced while this command ran: run it again$/);
    const [now] = (await listed('s3://pics/odd')) as [FoundFile];
    assert.deepEqual((await readImage(now))?.bytes, second);
    const address = 's3://pics/odd/1.png';
    assert.deepEqual((await readImage({ absolute: address, path: address }))?.bytes, second, 'by its address alone');
    let times = 0;
    const spoil = (by: () => number) => (passing: { method: string; bytes: Buffer }) => {
      if (passing.method === 'GET' && passing.bytes.length === second.length) {
        passing.bytes = Buffer.from(passing.bytes);
        passing.bytes[100] = ((passing.bytes[100] as number) + by()) % 256;
      }
      return undefined;
    };
    store.fault = spoil(() => (times++ === 0 ? 1 : 0));
    assert.deepEqual((await readImage(now))?.bytes, second, 'spoilt once');
    assert.equal(times, 2);
    store.fault = spoil(() => ++times);
    await assert.rejects(readImage(now), /^ImageError: came with other bytes each time/);
    store.fault = (passing) => {
      if (passing.method === 'GET') passing.bytes = passing.bytes.subarray(1);
      return undefined;
    };
    await assert.rejects(
      readImage(now),
      (error: Error) => /bytes came, 12 tries/.test(error.message) && error.name === 'DataError',
    );
    store.fault = (passing) => {
      passing.headers.etag = '"00000000000000000000000000000000"';
      passing.status = passing.status === 412 ? 200 : passing.status;
      if (passing.method === 'GET') passing.bytes = second;
      return undefined;
    };
    const other = { ...now, etag: '"00000000000000000000000000000000"' };
    store.gets();
    assert.deepEqual((await readImage(other))?.bytes, second, 'an ETag that is no MD5');
    assert.equal(store.gets().length, 2, 'read twice to see that');
    assert.deepEqual((await readImage(other))?.bytes, second);
    assert.equal(store.gets().length, 1, 'and no more');
    store.fault = (passing) => {
      if (passing.method === 'GET') passing.headers['content-encoding'] = 'br';
      return undefined;
    };
    await assert.rejects(
      readImage(now),
      /^ImageError: is stored with content-encoding br, which is not undone: store it plain$/,
    );
    store.fault = () => undefined;
    await store.delete('odd/1.png');
    await assert.rejects(readImage(now), /^ImageError: is not there$/);
  });

  test('what is refused ends with one sentence, without a secret', async (t) => {
    const cwd = await folder(t);
    const run = (address: string, env: Record<string, string> = {}) =>
      permafrost(['features', '--data', address, '--base', base], cwd, { HOME: cwd, ...store.env, ...env });
    const cases: [string, Record<string, string>, RegExp][] = [
      [
        's3://pics/nothing',
        {},
        /holds no files: give --data a folder of images, s3:\/\/bucket\/prefix or a .txt list$/,
      ],
      ['s3://absent/x', {}, /s3:\/\/absent\/x\/ is refused \(NoSuchBucket\): there is no such bucket/],
      [
        's3://pics/a',
        { AWS_SECRET_ACCESS_KEY: 'wrong/secret' },
        /refused \(SignatureDoesNotMatch\): the secret key does not/,
      ],
      [
        's3://pics/a',
        { AWS_ACCESS_KEY_ID: 'AKIAWRONG' },
        /refused \(InvalidAccessKeyId\): the access key is not known/,
      ],
      [
        's3://pics/a',
        { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' },
        /cannot be listed \(HTTP 403.*no credentials were found/,
      ],
      ['s3://pics/a', { AWS_SECRET_ACCESS_KEY: '' }, /have no secret access key: set both/],
      ['s3://pics/a', { AWS_PROFILE: 'none' }, /AWS_PROFILE is none, and neither .* has that profile/],
      [
        's3://pics/a',
        { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:59999' },
        /could not be read \(.*3 tries\): run the same command again later/,
      ],
      ['s3://pics/a', { AWS_ENDPOINT_URL_S3: 'ftp://x' }, /ftp:\/\/x is no address of an object store/],
      ['s3://', {}, /s3:\/\/ is no address of an object store: give s3:\/\/bucket\/prefix/],
      ['s3://pics/a/../b', {}, /has \. or \.\. between slashes/],
    ];
    for (const [address, env, message] of cases) {
      const { code, stdout, stderr } = await run(address, env);
      assert.match(stderr.trim(), message);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
      assert.deepEqual([code, stdout], [1, ''], address);
      assert.ok(!stderr.includes(env.AWS_SECRET_ACCESS_KEY || store.secretAccessKey), stderr);
    }
  });

  test('train, evaluate, predict, verify and worker over an object store; a label file there is not passed over', async (t) => {
    const cwd = await folder(t);
    for (let i = 0; i < 16; i++) {
      const bytes = await picture(3000 + i);
      await store.put(`heads/${i % 2 === 0 ? 'x' : 'y'}/${i}.png`, bytes);
      mkdirSync(path.join(cwd, 'data', i % 2 === 0 ? 'x' : 'y'), { recursive: true });
      writeFileSync(path.join(cwd, 'data', i % 2 === 0 ? 'x' : 'y', `${i}.png`), bytes);
    }
    await store.put('heads/z/', Buffer.alloc(0));
    const run = async (...args: string[]) => {
      const done = await permafrost(args, cwd, { ...store.env, HOME: cwd });
      assert.equal(done.code, 0, done.stderr);
      return done;
    };
    const data = 's3://pics/heads';
    await run('features', '--data', data, '--base', base);
    const empty = await permafrost(['train', '--data', data, '--base', base], cwd, { ...store.env, HOME: cwd });
    assert.match(empty.stderr, /\bz\b/, 'a folder without an image names a class, as on disk');
    await store.delete('heads/z/');
    await run('train', '--data', data, '--base', base, '--name', 'there', '--epochs', '3');
    await run('train', '--data', 'data', '--base', base, '--name', 'here', '--epochs', '3');
    const read = (name: string, file: string) => readFileSync(path.join(cwd, 'cache/heads', name, file));
    assert.deepEqual(read('there', 'head.onnx'), read('here', 'head.onnx'));
    const measured = async (...args: string[]) => JSON.parse((await run('evaluate', ...args, '--json')).stdout).metrics;
    assert.deepEqual(await measured(data, '--head', 'there'), await measured('data', '--head', 'here'));
    const { stdout: one } = await run('predict', `${data}/x/0.png`, '--head', 'there', '--format', 'csv');
    assert.match(one, /s3:\/\/pics\/heads\/x\/0\.png/);
    const sorted = ['predict', data, '--head', 'there', '--sort-into', 'sorted'];
    const far = await permafrost(sorted, cwd, { ...store.env, HOME: cwd });
    assert.match(
      far.stderr,
      /--sort-into places files of this machine, and s3:\/\/pics\/heads is none: fetch the images first/,
    );
    assert.equal(far.code, 2);
    await run('cache', 'verify', '--data', data, '--sample', '4');
    await run('report', 'there', '--data', data);
    await store.put('heads/metadata.csv', Buffer.from('file_name,label\nx/0.png,1\n'));
    const refused = await permafrost(['train', '--data', data, '--base', base], cwd, { ...store.env, HOME: cwd });
    assert.match(
      refused.stderr,
      /s3:\/\/pics\/heads\/metadata.csv lies beside the images, and label files are read from disk/,
    );
    await store.delete('heads/metadata.csv');
  });

  test('a list of paths and addresses; what is not there is told; nothing is listed', async (t) => {
    const cwd = await folder(t);
    await store.put('list/a/1.png', await picture(4000));
    await store.put('list/b/2.png', await picture(4001));
    writeFileSync(path.join(cwd, '3.png'), await picture(4002));
    writeFileSync(
      path.join(cwd, 'list.txt'),
      '\ufeff# pictures\r\ns3://pics/list/a/1.png\r\n\r\n3.png\ns3://pics/list/b/2.png\ns3://pics/list/gone.png\ns3://pics/list/gone',
    );
    const once = await features({ data: path.join(cwd, 'list.txt'), base, cache: path.join(cwd, 'cache') });
    assert.deepEqual([once.images, once.extracted, once.quarantined], [5, 3, 2]);
    assert.equal(store.passed.filter((asked) => asked.includes('list-type')).length, 0);
    assert.equal(store.gets().length, 2);
    const again = await features({ data: path.join(cwd, 'list.txt'), base, cache: path.join(cwd, 'cache') });
    assert.deepEqual([again.extracted, again.reused, again.quarantined], [0, 3, 2]);
    assert.deepEqual(store.gets(), []);
  });

  test('a store that falls silent: the command ends when it is told to, and keeps what is done', async (t) => {
    const cwd = await folder(t);
    for (let i = 0; i < 12; i++) await store.put(`silent/${i}.png`, await picture(5000 + i));
    let isSilent = (): void => {};
    const silent = new Promise<void>((resolve) => {
      isSilent = resolve;
    });
    store.fault = ({ url }) => {
      if (!url.startsWith('/pics/silent/11')) return undefined;
      setTimeout(isSilent, 1500);
      return 'silence';
    };
    const child = start(['features', '--data', 's3://pics/silent', '--base', base, '--batch-size', '2'], cwd, {
      ...store.env,
      HOME: cwd,
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    await silent;
    const told = performance.now();
    child.kill('SIGTERM');
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.ok(performance.now() - told < 5000, `${performance.now() - told} ms`);
    assert.notEqual(code, 0);
    assert.match(stderr, /stored/);
  });
});
