import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Console, picture } from '../../pipeline/progress.js';
import { permafrost } from '../helpers/cli.js';
import { root } from '../helpers/fixtures.js';

/** A stream that keeps what is written. */
function stream(isTTY: boolean, columns = 60) {
  const written: string[] = [];
  const fake = { isTTY, columns, write: (text: string) => written.push(text) };
  return { written, fake: fake as unknown as NodeJS.WriteStream };
}

test('a bar fits its columns with the time left; facts stand where there is room', () => {
  const said = '123456/123456 files, 1234/s, 12:34:56 left';
  for (const width of [20, 43, 59, 79, 200]) {
    const line = picture({ done: 3, total: 6, what: 'files', facts: ['100 extracted'] }, said, width);
    assert.ok(line.length <= width, line);
    if (width >= said.length) assert.ok(line.includes('12:34:56 left'), line);
    assert.equal(line.includes('100 extracted'), width >= 79, line);
    assert.equal(/[█░]/.test(line), width >= 59, line);
  }
  assert.match(picture({ done: 3, total: 6, what: 'files' }, 'x', 79), /^█{12}░{12} x$/);
});

test('work that may end early has at most so long to go', async () => {
  const terminal = stream(true);
  const shown = new Console(false, terminal.fake);
  shown.progress({ done: 0, total: 10, what: 'epochs', isAtMost: true });
  await new Promise((resolve) => setTimeout(resolve, 120));
  shown.progress({ done: 5, total: 10, what: 'epochs', isAtMost: true });
  assert.match(terminal.written[1] ?? '', / 5\/10 epochs, \d+\.\d\/s, at most 0:0\d left$/);
});

test('a terminal gets bars, a log plain lines now and then, --quiet nothing', async () => {
  const terminal = stream(true);
  const shown = new Console(false, terminal.fake);
  shown.progress({ done: 0, total: 10, what: 'files' });
  await new Promise((resolve) => setTimeout(resolve, 120));
  shown.progress({ done: 5, total: 10, what: 'files', facts: ['2 extracted'] });
  shown.line('5 of them');
  assert.ok(terminal.written[1]?.startsWith('\r\x1b[K'));
  assert.match(terminal.written[1]?.slice(4) ?? '', /^█+░+ 5\/10 files, \d+\.\d\/s, 0:0\d left, 2 extracted$/);
  assert.deepEqual(terminal.written.slice(2), ['\r\x1b[K', '5 of them\n']);

  const log = stream(false);
  const plain = new Console(false, log.fake);
  for (let done = 0; done <= 10; done++) plain.progress({ done, total: 10, what: 'files' });
  plain.status('nothing of a moment');
  plain.line('10 files');
  assert.deepEqual(log.written, ['10 files\n']);

  const quiet = stream(true);
  const silent = new Console(true, quiet.fake);
  silent.progress({ done: 1, total: 10, what: 'files' });
  silent.status('x');
  silent.line('y');
  assert.deepEqual(quiet.written, []);
});

test('what is being done: at once on a terminal, after a second in a log', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let time = 0;
  t.mock.method(performance, 'now', () => time);
  const passes = (ms: number): void => {
    time += ms;
    t.mock.timers.tick(ms);
  };
  const terminal = stream(true);
  const shown = new Console(false, terminal.fake);
  shown.step('reading x');
  shown.step('drawing y');
  shown.line('y');
  assert.deepEqual(terminal.written, ['\r\x1b[Kreading x', '\r\x1b[Kdrawing y', '\r\x1b[K', 'y\n']);

  const log = stream(false);
  const plain = new Console(false, log.fake);
  plain.step('reading x');
  passes(999);
  plain.step('quick');
  assert.deepEqual(log.written, []);
  passes(1000);
  plain.step('drawing y');
  plain.line('y');
  passes(5000);
  assert.deepEqual(log.written, ['quick\n', 'drawing y\n', 'y\n']);

  const brief = stream(false);
  const done = new Console(false, brief.fake);
  done.step('reading x');
  done.clear();
  passes(5000);
  assert.deepEqual(brief.written, []);

  const quiet = stream(false);
  new Console(true, quiet.fake).step('reading x');
  passes(5000);
  assert.deepEqual(quiet.written, []);
});

test('tables get no colours where NO_COLOR is set, and none in logs', () => {
  const before = process.env.NO_COLOR;
  try {
    delete process.env.NO_COLOR;
    assert.deepEqual(
      [new Console(false, stream(true).fake).width, new Console(false, stream(false).fake).width],
      [60, undefined],
    );
    const terminal = stream(true);
    const row = { cells: ['a\u001b[2Jb', '1'], looks: ['bold'] } as const;
    new Console(false, terminal.fake).table(['class', 'n'], [row]);
    const [head = '', , first = ''] = terminal.written;
    assert.equal(head, '\u001b[1mclass      n\u001b[0m\n', 'colours are the terminal’s');
    assert.equal(first, '\u001b[1ma\\x1b[2Jb  1\u001b[0m\n', 'those of a name are not');
    process.env.NO_COLOR = '1';
    assert.equal(new Console(false, stream(true).fake).width, undefined);
  } finally {
    if (before === undefined) delete process.env.NO_COLOR;
    else process.env.NO_COLOR = before;
  }
});

test('a count that begins again is measured anew', async () => {
  const terminal = stream(true);
  const shown = new Console(false, terminal.fake);
  shown.progress({ done: 1, total: 100, what: 'epochs' });
  shown.progress({ done: 90, total: 100, what: 'epochs' });
  shown.progress({ done: 1, total: 100, what: 'epochs' });
  await new Promise((resolve) => setTimeout(resolve, 120));
  shown.progress({ done: 2, total: 100, what: 'epochs' });
  const rate = Number(/, ([\d.]+)\/s/.exec(terminal.written.at(-1) as string)?.[1]);
  assert.ok(rate > 0 && rate < 9, String(rate));
});

/** Runs a command on a pseudo-terminal of 60 columns. */
const ON_TERMINAL = `
import os, pty, sys, struct, fcntl, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 60, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
out = b''
while True:
    try:
        piece = os.read(fd, 65536)
    except OSError:
        break
    if not piece:
        break
    out += piece
sys.stdout.buffer.write(out)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
const python = process.env.PERMAFROST_PYTHON ?? 'python3';
const hasTerminal = spawnSync(python, ['-c', 'import pty']).status === 0;

test('on a real terminal of 60 columns no bar is broken, and the last line tells all', {
  skip: hasTerminal || process.env.CI === 'true' ? false : 'no Python with pty',
}, async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'progress-'));
  try {
    const cli = path.join(root, 'dist/pipeline/cli.js');
    const run = (args: readonly string[]) =>
      spawnSync(python, ['-c', ON_TERMINAL, process.execPath, cli, ...args], {
        cwd: folder,
        encoding: 'utf8',
      });
    const drawn = run(['sample', '--out', 'pictures', '--per-class', '8']);
    assert.equal(drawn.status, 0, drawn.stdout);
    const pieces = drawn.stdout.replaceAll('\x1b[K', '').split(/\r\n|\r|\n/);
    const bars = pieces.filter((piece) => /[█░]/.test(piece));
    assert.ok(bars.length > 0);
    for (const bar of bars) assert.ok(bar.length < 60, bar);
    assert.match(bars.at(-1) as string, /16\/16 pictures, [\d.]+\/s, 0:00 left$/);
    assert.match(drawn.stdout, /pictures: 16 pictures \(12 train, 4 val\), defect and ok\r\n$/);
    const quiet = run(['sample', '--out', 'pictures', '--per-class', '8', '--quiet']);
    assert.deepEqual([quiet.status, quiet.stdout], [0, '']);
    const logged = await permafrost(['sample', '--out', 'pictures', '--per-class', '8'], folder);
    assert.match(logged.stderr, /^[^\r]*pictures: 16 pictures \(12 train, 4 val\), defect and ok\n$/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
