import { hash } from 'node:crypto';
import { type BigIntStats, statSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { type Asked, FACTS, KIND, type Looked } from './look-aside.js';

/** A thread that looks at files and hashes their paths. */

const port = parentPort;
if (port === null) throw new Error('look-thread.js is a thread, which look-aside.js starts');

function look(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

port.on('message', ({ number, paths }: Asked) => {
  const files = paths.split('\0');
  const facts = new BigInt64Array(files.length * FACTS);
  const keys = Buffer.from(new ArrayBuffer(files.length * 32));
  const began = performance.now();
  for (const [i, file] of files.entries()) {
    const found = look(file);
    facts[i * FACTS] = found === undefined ? KIND.absent : found.isFile() ? KIND.file : KIND.other;
    facts[i * FACTS + 1] = found?.size ?? 0n;
    facts[i * FACTS + 2] = found?.mtimeNs ?? 0n;
    facts[i * FACTS + 3] = BigInt.asIntN(64, found?.ino ?? 0n);
    keys.write(hash('sha256', file, 'hex'), i * 32, 'hex');
  }
  const ms = performance.now() - began;
  const looked: Looked = { number, facts: facts.buffer, keys: keys.buffer as ArrayBuffer, ms };
  port.postMessage(looked, [facts.buffer, keys.buffer as ArrayBuffer]);
});
