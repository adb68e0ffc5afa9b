import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The checkout that this program is part of. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A program in Python that measures when it is asked. */
export interface Peer {
  /** What it is and of which version, as it says. */
  readonly version: string;
  /** @returns the line that it answers with */
  answer(what: string): Promise<string>;
  /** @returns the number that it answers with */
  ask(what: string): Promise<number>;
  end(): Promise<void>;
}

/**
 * Starts a program of bench/ that writes its version when it is ready, then a number for every line that it reads.
 * @returns null, said on stderr, where $PYTHON cannot run it: bench/requirements.txt has what it needs
 */
export async function startPeer(name: string, ...args: (string | number)[]): Promise<Peer | null> {
  const python = process.env.PYTHON ?? 'python3';
  const script = path.join(root, `bench/${name}.py`);
  const child = spawn(python, [script, ...args.map(String)], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-2000);
  });
  child.stdin.on('error', () => {});
  const closed = once(child, 'close').catch((error: Error) => {
    said = error.message;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string | null> => {
    const { value, done } = await lines.next();
    return done ? null : value;
  };
  const version = await next();
  if (version === null) {
    await closed;
    const why = said.trim().split('\n').at(-1) ?? '';
    console.error(`${name} ${args.join(' ')}: left out (${why}); PYTHON names a Python with bench/requirements.txt`);
    return null;
  }
  const answer = async (what: string): Promise<string> => {
    child.stdin.write(`${what}\n`);
    const line = await next();
    if (line === null) throw new Error(`${name} ended when it was asked for ${what}: ${said}`);
    return line;
  };
  return {
    version,
    answer,
    ask: async (what) => Number(await answer(what)),
    async end() {
      child.stdin.end();
      await closed;
    },
  };
}
