import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { collectGarbage } from '../../src/commands/cache/index.js';
import { trainPlan } from '../../src/commands/plan.js';
import { sweep } from '../../src/commands/sweep.js';
import { train } from '../../src/commands/train.js';
import { realSystem } from '../../src/files/index.js';
import { checkName, readPlan } from '../../src/heads/plan-file.js';
import { root } from '../helpers/fixtures.js';
import { labelledSet } from '../helpers/labelled-set.js';
import { tinyHead } from '../helpers/saved-head.js';
import { folder } from '../helpers/store.js';

test('a place that cannot be written is told before an epoch is run', async (t) => {
  const dir = await folder(t);
  const { cache, data, features, labels } = await labelledSet(dir, 20, 4);
  const options = { cache, data, features, labels: labels('binary'), epochs: 1 };
  writeFileSync(path.join(cache, 'heads'), 'a file where heads should lie');
  const told = { name: 'HeadError', message: /heads is a file, not a folder: choose another place/ };
  let epochs = 0;
  const onEpoch = (): void => {
    epochs++;
  };
  await assert.rejects(train({ ...options, onEpoch }), told);
  await assert.rejects(train({ ...options, name: 'h', onEpoch }), told);
  await assert.rejects(sweep({ ...options, grid: ['l2=0,1'] }), told);
  const plan = { heads: [{ name: 'h', labels: labels('binary'), options: {}, fit: {} }] };
  await assert.rejects(trainPlan({ cache, data, features, plan, onEpoch }), told);
  writeFileSync(path.join(cache, 'sweeps'), '');
  const elsewhere = { ...options, grid: ['l2=0,1'], out: path.join(dir, 'best') };
  await assert.rejects(sweep(elsewhere), { message: /sweeps is a file, not a folder/ });
  assert.equal(epochs, 0);
  assert.ok(!readdirSync(dir).includes('best'), 'nothing is made by trying');
});

const OTHER = 65534;

test('what may not be read is never said to be absent', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs to become another user');
  const dir = await folder(t);
  await tinyHead(path.join(dir, 'cache', 'heads', 'mine'), 1);
  writeFileSync(path.join(dir, 'image.jpg'), '');
  chmodSync(dir, 0o755);
  chmodSync(path.join(dir, 'cache', 'heads'), 0o700);
  mkdirSync(path.join(dir, 'images'), { mode: 0o700 });
  const { stderr, stdout } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { headInfo, predict, exportHead } = await import(${JSON.stringify(path.join(root, 'dist/src/index.js'))});
       const tell = (work) => work.catch((error) => console.log(error.message));
       await tell(headInfo('mine', 'cache'));
       await tell(exportHead({ head: 'mine', cache: 'cache', format: 'onnx', out: 'images/h.onnx' }));`,
    ],
    { cwd: dir, uid: OTHER, encoding: 'utf8' },
  );
  if (/EACCES.*dist|Cannot find module/.test(stderr)) return t.skip('another user cannot read this checkout');
  const [head = '', out = ''] = stdout.split('\n');
  assert.match(head, /^cache\/heads\/mine may not be read \(EACCES\): change its permissions/, stderr);
  assert.match(out, /images\/h\.onnx could not be written: no permission at .*\(EACCES\)/, stderr);
});

test('cache gc finds what dead runs left in heads and sweeps', async (t) => {
  const dir = await folder(t);
  const { cache } = await labelledSet(dir, 10, 4);
  await tinyHead(path.join(cache, 'heads', 'group', 'mine'), 1);
  const dead = `_tmp-${realSystem.host}-99999999-0123456789ab`;
  const folders = ['heads', 'heads/group/mine', 'sweeps', 'sweeps/s'].map((name) => path.join(cache, name));
  for (const one of folders) {
    mkdirSync(one, { recursive: true });
    writeFileSync(path.join(one, dead), 'half');
    writeFileSync(path.join(one, '_tmp-of-somebody-else'), '');
  }
  const { garbage } = await collectGarbage(cache, { yes: true });
  assert.deepEqual(
    garbage.filter(({ kind }) => kind === 'temporary').map((item) => item.path),
    folders.map((one) => path.join(one, dead)).sort(),
  );
  for (const one of folders) assert.ok(readdirSync(one).includes('_tmp-of-somebody-else'));
  assert.ok(folders.every((one) => !readdirSync(one).includes(dead)));
});

test('what a killed run left beside a head goes with the next one', async (t) => {
  const dir = path.join(await folder(t), 'head');
  await tinyHead(dir, 1);
  writeFileSync(path.join(dir, `_tmp-${realSystem.host}-99999999-0123456789ab`), 'half');
  await tinyHead(dir, 1);
  assert.deepEqual(readdirSync(dir).sort(), ['head.json', 'head.onnx']);
});

test('names of heads are good on Linux, macOS and Windows', async (t) => {
  for (const name of ['a', 'cats-2', 'v1.2', 'console', 'com', 'nullable', 'COM10'])
    assert.equal(checkName(name), name);
  for (const name of ['con', 'NUL', 'aux.txt', 'COM1', 'lpt9.v2', 'v1.', '-a', '.a', 'a b', 'a:b', 'ä', 'a/b', '']) {
    assert.throws(() => checkName(name), { name: 'UsageError' }, name);
  }
  const dir = await folder(t);
  const file = path.join(dir, 'plan.yaml');
  writeFileSync(file, 'heads:\n  - name: Cats\n  - name: cats\n');
  await assert.rejects(readPlan(file), /line 3: two heads are called cats/);
});
