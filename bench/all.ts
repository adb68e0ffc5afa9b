/**
 * All of it, in turns with peers, into docs/speed.md and docs/speed.json: `make bench`. With QUICK=1 a little of it, into build/, in three
 * minutes; AGAINST=DIR times another checkout, which is built, beside this one where commands are compared.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, freemem, loadavg, release, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { processor } from '../src/engine/processor.js';
import { root } from './peer.js';
import { markdown, QUICK, type Table } from './tables.js';

const PROGRAMS: readonly (readonly [program: string, ...args: string[]])[] = QUICK
  ? [['start'], ['stage_one'], ['head_epoch'], ['cache', '1000']]
  : [
      ['start'],
      ['stage_one'],
      ['head_epoch'],
      ['many_heads'],
      ['lbfgs'],
      ['closed_forms'],
      ['big_set'],
      ['cache', '1000', '100000', '1000000'],
      ['report'],
    ];
/** Instruction sets that decide how fast a base runs. */
const TELLING = [
  'avx2',
  'avx512f',
  'avx_vnni',
  'avx512_vnni',
  'avx512_bf16',
  'amx_int8',
  'amx_bf16',
  'asimd',
  'asimddp',
  'i8mm',
];
const [BEGIN, END] = ['<!-- measured: written by `make bench` -->', '<!-- end of what `make bench` writes -->'];

interface Speed {
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly tables: readonly Table[];
}

function machine(): Speed['machine'] {
  const { model, flags } = processor();
  return {
    processor: model.replace(/\s+/g, ' '),
    cores: cpus().length,
    'instruction sets': TELLING.filter((flag) => flags.includes(flag)).join(' '),
    'memory, GB': Math.round(totalmem() / 1e9),
    'free memory at the start, GB': Math.round(freemem() / 1e9),
    'load at the start': Number((loadavg()[0] ?? 0).toFixed(1)),
    system: `${process.platform} ${release()}`,
  };
}

function run(file: string): Table[] {
  for (const [program, ...args] of PROGRAMS) {
    const began = performance.now();
    const { status } = spawnSync(process.execPath, [path.join(root, 'dist/bench', `${program}.js`), ...args], {
      stdio: 'inherit',
      env: { ...process.env, PERMAFROST_BENCH: file },
    });
    console.error(`${[program, ...args].join(' ')}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
    if (status !== 0) throw new Error(`${program} ended with ${status}: nothing was written`);
  }
  if (!existsSync(file)) throw new Error('no program has measured anything');
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Table);
}

/** What stands in docs/speed.md. */
function page({ machine, versions, tables }: Speed): string {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const sections = tables.map((table) =>
    [`### ${table.title}`, `${table.text} \`${table.command}\``, markdown(table).join('\n')].join('\n\n'),
  );
  return [
    `Measured in one run of \`make bench\`, everything in turns with its peers (${facts.join('; ')}; ${peers.join(', ')}). Ratios are the median of the rounds' own.`,
    ...sections,
  ].join('\n\n');
}

const work = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
try {
  const facts = machine();
  const tables = run(path.join(work, 'tables.jsonl'));
  const versions = Object.assign({ Node: process.versions.node }, ...tables.map((table) => table.versions));
  const speed: Speed = { machine: facts, versions, tables };
  const out = path.join(root, QUICK ? 'build' : 'docs');
  mkdirSync(out, { recursive: true });
  const text = readFileSync(path.join(root, 'docs/speed.md'), 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/speed.md has no lines ${BEGIN} and ${END}: put them back`);
  const whole = `${text.slice(0, from + BEGIN.length)}\n${page(speed)}\n${text.slice(to)}`;
  writeFileSync(path.join(out, 'speed.md'), whole);
  writeFileSync(path.join(out, 'speed.json'), `${JSON.stringify(speed, null, 1)}\n`);
  console.error(`written: ${path.join(out, 'speed.md')}, speed.json`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
