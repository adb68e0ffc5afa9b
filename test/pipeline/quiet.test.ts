import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { fixture, root } from '../helpers/fixtures.js';
import { folder } from '../helpers/store.js';

const program = path.join(root, 'dist/pipeline/cli.js');
const library = pathToFileURL(path.join(root, 'dist/src/index.js')).href;

/** What makes onnxruntime keep to itself of its own accord, or would tell another program where it lies. */
const SILENCING = /^(ORT_|CI$|TF_BUILD|GITHUB_|JENKINS|TRAVIS|CIRCLECI|GITLAB|SYSTEM_|BUILD_|NODE_)/;

const sees = spawnSync('strace', ['-V']).status === 0;
const skip = sees || process.env.CI !== undefined ? false : 'strace is not there';

const loud = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !SILENCING.test(name)));

interface Ran {
  readonly status: number | null;
  readonly stderr: string;
  /** Files in the home folder and the temporary one. */
  readonly left: readonly string[];
  /** Calls that open a way out of the machine. */
  readonly sockets: readonly string[];
}

/** Runs a program with a home and a temporary folder of its own, under strace where it is there. */
function run(dir: string, args: readonly string[]): Ran {
  const home = path.join(dir, 'home');
  mkdirSync(path.join(home, 'tmp'), { recursive: true });
  const trace = path.join(dir, 'trace.txt');
  const [command, ...rest] = sees
    ? ['strace', '-f', '-qq', '-o', trace, '-e', 'trace=socket,connect', process.execPath, ...args]
    : [process.execPath, ...args];
  const { status, stderr } = spawnSync(command as string, rest, {
    cwd: dir,
    env: { ...loud(), HOME: home, XDG_CACHE_HOME: '', TMPDIR: path.join(home, 'tmp') },
    encoding: 'utf8',
  });
  const left = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name !== 'tmp');
  const calls = sees ? readFileSync(trace, 'utf8').split('\n') : [];
  return { status, stderr, left, sockets: calls.filter((call) => /AF_(INET|INET6|NETLINK)/.test(call)) };
}

function assertQuiet({ status, stderr, left, sockets }: Ran): void {
  assert.equal(status, 0, stderr);
  assert.deepEqual({ left, sockets }, { left: [], sockets: [] });
}

/** Both stages with a cache of their own: what another program left would be reused, and onnxruntime not used. */
const work = (cache: string): string => `
  const { features, train } = await import(${JSON.stringify(library)});
  const { extracted } = await features({ base: 'xception-mini', data: 'data', cache: '${cache}' });
  if (extracted === 0) throw new Error('nothing was run');
  await train({ base: 'xception-mini', data: 'data', cache: '${cache}', epochs: 2 });
`;

describe('nothing is sent anywhere, and nothing is kept but what a command names', { skip }, () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
  after(() => rmSync(dir, { recursive: true }));
  before(() => {
    assert.ok(sees, 'strace must be there where CI runs: .ci/run installs it');
    for (const [i, name] of ['rgb.png', 'rgb.jpg', 'grey.png', 'rotated.jpg', 'la.png', 'lossy.webp'].entries()) {
      const place = path.join(dir, 'data', i % 2 === 0 ? 'a' : 'b');
      mkdirSync(place, { recursive: true });
      copyFileSync(fixture(`images/${name}`), path.join(place, name));
    }
  });

  test('features, then train, on the command line', () => {
    assertQuiet(run(dir, [program, 'features', '--data', 'data', '--cache', 'one']));
    assertQuiet(run(dir, [program, 'train', '--data', 'data', '--cache', 'one', '--epochs', '2']));
  });

  test('in a worker thread, whose environment is a copy', () => {
    writeFileSync(path.join(dir, 'worker.mjs'), work('two'));
    writeFileSync(
      path.join(dir, 'main.mjs'),
      `import { Worker } from 'node:worker_threads';
       new Worker(new URL('./worker.mjs', import.meta.url)).on('exit', (code) => { process.exitCode = code; });`,
    );
    assertQuiet(run(dir, ['main.mjs']));
  });

  test('in a CommonJS program', () => {
    writeFileSync(path.join(dir, 'main.cjs'), `(async () => { ${work('three')} })();`);
    assertQuiet(run(dir, ['main.cjs']));
  });

  test('the test sees what it looks for: the variable that a user has set is left alone', () => {
    writeFileSync(path.join(dir, 'asked.mjs'), `process.env.ORT_DISABLE_TELEMETRY = '0';\n${work('four')}`);
    const { status, left } = run(dir, ['asked.mjs']);
    assert.equal(status, 0);
    if (process.platform === 'linux')
      assert.ok(
        left.some((name) => /onnxruntime/.test(name)),
        left.join(),
      );
  });
});

test('two thousand names on the command line, others from a file and from the standard input', async (t) => {
  const dir = await folder(t);
  const names = Array.from({ length: 2000 }, (_, i) => `pictures/n01440764_${String(i).padStart(8, '0')}.png`);
  mkdirSync(path.join(dir, 'pictures'));
  for (const name of names) copyFileSync(fixture('images/rgb.png'), path.join(dir, name));
  const model = ['--base', fixture('keras/tiny.keras'), '--preprocess', 'tf', '--top', '1', '--quiet'];
  const classify = (args: readonly string[], input?: string) =>
    spawnSync(process.execPath, [program, 'classify', ...args, ...model], {
      cwd: dir,
      encoding: 'utf8',
      env: loud(),
      ...(input === undefined ? {} : { input }),
    });
  const typed = classify(names);
  assert.equal(typed.status, 0, typed.stderr);
  const shown = typed.stdout.trim().split('\n');
  assert.deepEqual(
    shown.map((line) => line.split('\t')[0]),
    names,
  );
  const few = names.slice(0, 30);
  const expected = `${shown.slice(0, 30).join('\n')}\n`;
  writeFileSync(path.join(dir, 'list.txt'), `${few.slice(1).join('\r\n')}\r\n\n`);
  assert.equal(classify([few[0] ?? '', '--from', 'list.txt']).stdout, expected);
  assert.equal(classify(['--from', '-'], few.map((name) => `${name}\0`).join('')).stdout, expected);
  const none = classify([]);
  assert.equal(none.status, 2);
  assert.match(none.stderr, /give image files or folders, or a list of them with --from/);
  const empty = classify(['--from', '-'], '\n');
  assert.deepEqual([empty.status, empty.stdout], [1, '']);
  assert.match(empty.stderr, /^permafrost: the standard input names no image/);
  const absent = classify(['--from', 'none.txt']);
  assert.deepEqual([absent.status, absent.stderr.trim().split('\n').length], [1, 1]);
});

test('a device without its driver is one sentence, not the log of the runtime', async (t) => {
  const dir = await folder(t);
  copyFileSync(fixture('images/rgb.png'), path.join(dir, 'rgb.png'));
  const args = [program, 'features', '--data', '.', '--device', 'cuda', '--quiet'];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' });
  if (status === 0) return; // it has one
  assert.equal(status, 1);
  assert.match(stderr, /^permafrost: device cuda .+\n$/);
});
