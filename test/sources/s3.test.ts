import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseListing } from '../../src/sources/s3/listing.js';
import { pause, waitAfter } from '../../src/sources/s3/retry.js';
import { readSettings } from '../../src/sources/s3/settings.js';
import { folder } from '../helpers/store.js';

const object = (key: string, rest = '<Size>5</Size><ETag>&quot;0a&quot;</ETag>') =>
  `<Contents><Key>${key}</Key>${rest}</Contents>`;
const list = (inner: string) => `<?xml version="1.0"?><ListBucketResult xmlns="x">${inner}</ListBucketResult>`;

test('lists of objects, with names as they are encoded, and where they go on', () => {
  const encoded = list(
    `<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b==</NextContinuationToken>${object('p/a+b%2Bc%25.png')}<CommonPrefixes><Prefix>p/%C3%BC/</Prefix></CommonPrefixes>`,
  );
  assert.deepEqual(parseListing(encoded, 'p/', 's3://b/p/'), {
    objects: [{ key: 'p/a b+c%.png', size: 5, etag: '"0a"' }],
    prefixes: ['p/ü/'],
    next: 'a&b==',
  });
  const plain = list(`<IsTruncated>false</IsTruncated>${object('p/a+b&lt;&#252;&#xfc;&amp;amp;%41')}`);
  assert.deepEqual(parseListing(plain, '', 's3://b/').objects[0]?.key, 'p/a+b<üü&amp;%41');
});

test('what is no list of what was asked for is refused, and what is cut is asked for again', () => {
  const refused: [string, RegExp][] = [
    [
      '<html>Sign in</html>',
      /^DataError: s3:\/\/b\/p\/: the server's list of objects is none: check AWS_ENDPOINT_URL_S3$/,
    ],
    [list(object('other/a')), /has a name that was not asked for, "other\/a"/],
    [list(`<EncodingType>url</EncodingType>${object('p/%E4')}`), /has a name that was not asked for, "p\/%E4"/],
    [list(object('p/a', '<Size>5</Size>')), /has an object without key, size or ETag/],
    [list(object('p/a', '<Size>-5</Size><ETag>x</ETag>')), /has an object without key, size or ETag/],
    [list(object('p/a', '<Size>99999999999999999</Size><ETag>x</ETag>')), /without key, size or ETag/],
    [list('<IsTruncated>true</IsTruncated>'), /is not whole and does not say how it goes on/],
  ];
  for (const [xml, message] of refused) assert.throws(() => parseListing(xml, 'p/', 's3://b/p/'), message, xml);
  const whole = list(object('p/a'));
  assert.throws(() => parseListing(whole.slice(0, -3), 'p/', 's3://b/p/'), /^Error: the list of objects is cut off$/);
});

test('settings are those of the environment, else of a profile in the shared files', async (t) => {
  const home = await folder(t);
  const keys = { accessKeyId: 'A', secretAccessKey: 'S' };
  const nothing = { credentials: null, region: 'us-east-1', endpoint: null };
  assert.deepEqual(await readSettings({ HOME: home }), nothing);
  const env = { HOME: home, AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'S' };
  assert.deepEqual(await readSettings(env), { ...nothing, credentials: keys });
  mkdirSync(path.join(home, '.aws'));
  writeFileSync(
    path.join(home, '.aws/credentials'),
    '# mine\n[default]\naws_access_key_id = D\r\naws_secret_access_key=d=/+\n\n[ work ]\naws_access_key_id=W\naws_secret_access_key=w\naws_session_token = t\n',
  );
  writeFileSync(
    path.join(home, '.aws/config'),
    '[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 20\n[profile work]\nregion=eu-central-1\nendpoint_url = http://minio:9000/\n[profile half]\naws_access_key_id = H\n',
  );
  const of = (given: Record<string, string>) => readSettings({ HOME: home, ...given });
  assert.deepEqual(await of({}), {
    credentials: { accessKeyId: 'D', secretAccessKey: 'd=/+' },
    region: 'eu-west-1',
    endpoint: null,
  });
  assert.deepEqual(await of({ AWS_PROFILE: 'work' }), {
    credentials: { accessKeyId: 'W', secretAccessKey: 'w', sessionToken: 't' },
    region: 'eu-central-1',
    endpoint: 'http://minio:9000',
  });
  const both = { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'S', AWS_PROFILE: 'work', AWS_REGION: 'x' };
  assert.deepEqual(await of({ ...both, AWS_ENDPOINT_URL: 'https://y' }), {
    credentials: keys,
    region: 'x',
    endpoint: 'https://y',
  });
  await assert.rejects(of({ AWS_PROFILE: 'half' }), /in the shared files, have no secret access key: set both$/);
  await assert.rejects(
    of({ AWS_PROFILE: 'no' }),
    /AWS_PROFILE is no, and neither .*credentials nor .*config has that profile/,
  );
  await assert.rejects(of({ AWS_ENDPOINT_URL_S3: 'minio:9000' }), /minio:9000 is no address of an object store/);
});

test('waits double up to a bound and end when they are told to', async () => {
  const patience = { tries: 9, firstTries: 3, wait: 100, longestWait: 1000, silence: 1 };
  for (let tried = 1; tried < 9; tried++) {
    const waits = Array.from({ length: 200 }, () => waitAfter(tried, patience, 0));
    assert.ok(Math.max(...waits) <= Math.min(1000, 100 * 2 ** (tried - 1)));
  }
  assert.equal(waitAfter(1, patience, 700), 700, 'as long as the server asks for');
  const ending = new AbortController();
  const waiting = pause(60_000, ending.signal);
  ending.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(pause(1, ending.signal), /enough/);
});
