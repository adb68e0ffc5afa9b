import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { tell } from './tables.js';

// What a command costs before it does anything: processor time and memory beside those of `node -e 0`, the least of some runs.

const cli = path.join(path.dirname(fileURLToPath(import.meta.url)), '../pipeline/cli.js');
const RUNS = 7;
/** Prints what this process took, at its end. */
const REPORT =
  'process.on("exit", () => { const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();' +
  ' require("fs").writeSync(2, "\\n" + (userCPUTime + systemCPUTime) + " " + maxRSS); });';

export interface Cost {
  /** Seconds of processor time. */
  readonly seconds: number;
  /** Megabytes at most. */
  readonly megabytes: number;
}

/** @returns the least of some runs, which other work on the machine disturbs least */
export function costOf(args: readonly string[], runs = RUNS): Cost {
  const report = `data:text/javascript,${encodeURIComponent(`import { createRequire } from 'node:module'; const require = createRequire('file:///');${REPORT}`)}`;
  let least: Cost = { seconds: Number.POSITIVE_INFINITY, megabytes: Number.POSITIVE_INFINITY };
  for (let i = 0; i < runs; i++) {
    const { stderr } = spawnSync(process.execPath, ['--import', report, ...args], { encoding: 'utf8' });
    const [micros = 0, kilobytes = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
    least = {
      seconds: Math.min(least.seconds, micros / 1e6),
      megabytes: Math.min(least.megabytes, kilobytes / 1024),
    };
  }
  return least;
}

/** Programs of this checkout, and of another ($AGAINST). */
function compared(): [string, string][] {
  const against = process.env.AGAINST;
  const others: [string, string][] =
    against === undefined ? [] : [[' of the other checkout', path.join(against, 'dist/pipeline/cli.js')]];
  return [['', cli], ...others];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const node = costOf(['-e', '0']);
  const rows = compared().flatMap(([whose, program]) =>
    [['--version'], ['--help'], ['train', '--help']].map((args) => ({
      name: `permafrost ${args.join(' ')}${whose}`,
      cost: costOf([program, ...args]),
    })),
  );
  const common = { command: 'node dist/bench/start.js', over: ['node -e 0'], versions: {} };
  const table = (of: (cost: Cost) => number) => [
    { name: 'node -e 0', values: [of(node)] },
    ...rows.map(({ name, cost }) => ({ name, values: [of(cost)] })),
  ];
  tell({
    ...{ ...common, title: 'Start', unit: 'ms', rows: table(({ seconds }) => 1000 * seconds) },
    text: `Processor time of a command that does nothing, the least of ${RUNS}.`,
  });
  tell({
    ...{ ...common, title: 'Memory at start', unit: 'MB', rows: table(({ megabytes }) => megabytes) },
    text: 'Peak of resident memory of the same.',
  });
}
