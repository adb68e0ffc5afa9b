import { once } from 'node:events';
import { addAbortSignal } from 'node:stream';
import { type WorkerOptions, worker } from '../src/commands/worker.js';
import { type Arguments, optionsOf } from './arguments.js';
import { collectSeldom } from './garbage.js';
import { interrupt } from './io.js';
import { Console } from './progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const signal = interrupt();
  const answers = worker(addAbortSignal(signal, process.stdin), {
    ...optionsOf<WorkerOptions>(given),
    signal,
    onDownload: console.download,
    onWarning: (message) => console.line(message),
  });
  try {
    for await (const piece of answers) {
      collectSeldom();
      if (!process.stdout.write(piece)) await once(process.stdout, 'drain', { signal });
    }
  } finally {
    // A client that keeps its end open would keep this process too, whatever has gone wrong here.
    process.stdin.destroy();
  }
}
