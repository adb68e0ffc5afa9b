import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What a process of the command line did. */
export interface Measured {
  readonly seconds: number;
  /** Peak of resident memory. */
  readonly megabytes: number;
  /** Exit code; null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface MeasureOptions {
  /** Default: the command line. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly onStart?: (child: ChildProcess) => void;
}

/** Runs a program of Node's with arguments. */
export async function measure(
  args: readonly string[],
  { program = path.join(root, 'dist/pipeline/cli.js'), env, onStart }: MeasureOptions = {},
): Promise<Measured> {
  const rss = path.join(tmpdir(), `permafrost-rss-${process.pid}-${Math.random()}`);
  const started = performance.now();
  const child = spawn(process.execPath, ['--import', path.join(root, 'dist/bench/rss.js'), program, ...args], {
    env: { ...process.env, ...env, PERMAFROST_RSS: rss },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  onStart?.(child);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const seconds = (performance.now() - started) / 1000;
  const megabytes = Number(readFileSync(rss, 'utf8')) / 1e6;
  rmSync(rss);
  return { seconds, megabytes, code, stdout, stderr };
}

/** As `measure`. @throws where it ends with anything but 0 */
export async function permafrost(...args: string[]): Promise<Measured> {
  const measured = await measure(args);
  if (measured.code !== 0) throw new Error(`permafrost ${args.join(' ')}: ${measured.stderr.slice(-2000)}`);
  return measured;
}

/** Prints what a step took. */
export function tell(name: string, { seconds, megabytes }: Pick<Measured, 'seconds' | 'megabytes'>): void {
  console.log(`${name.padEnd(58)} ${seconds.toFixed(2).padStart(7)} s ${megabytes.toFixed(0).padStart(6)} MB`);
}
