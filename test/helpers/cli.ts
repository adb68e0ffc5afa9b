import { spawn } from 'node:child_process';
import path from 'node:path';
import { root } from './fixtures.js';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const program = path.join(root, 'dist/pipeline/cli.js');

/** Starts the command line in a folder. */
export function start(args: readonly string[], cwd: string, env: Record<string, string> = {}) {
  return spawn(process.execPath, [program, ...args], { cwd, env: { ...process.env, ...env } });
}

/** Runs it to its end. */
export function permafrost(args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Finished> {
  const child = start(args, cwd, env);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
