import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const node = costOf(['-e', '0']);
  process.stdout.write(`node -e 0: ${node.seconds.toFixed(3)} s of processor time, ${node.megabytes.toFixed(0)} MB\n`);
  for (const args of [['--version'], ['--help'], ['train', '--help']]) {
    const { seconds, megabytes } = costOf([cli, ...args]);
    process.stdout.write(
      `permafrost ${args.join(' ')}: ${(seconds / node.seconds).toFixed(2)} times its time, ${(megabytes - node.megabytes).toFixed(0)} MB more\n`,
    );
  }
}
