import { Worker } from 'node:worker_threads';

/** Paths to look at, with a zero byte between them, which stands in no path. */
export interface Asked {
  readonly number: number;
  readonly paths: string;
}

/** What was found, in the order asked. */
export interface Looked {
  readonly number: number;
  /** Of each file `FACTS` whole numbers of 64 bits: one of `KIND`, size, mtime in ns and inode. */
  readonly facts: ArrayBuffer;
  /** SHA-256 of each path, 32 bytes. */
  readonly keys: ArrayBuffer;
  /** What it took. */
  readonly ms: number;
}

export const FACTS = 4;
export const KIND = { absent: 0n, file: 1n, other: 2n } as const;

/** A second thread that looks at files, in order, while this one works on those before. */
export class LookThread {
  private asked = 0;
  private isOver = false;
  private readonly waiting = new Map<number, (looked: Looked | null) => void>();

  private constructor(private readonly worker: Worker) {
    worker.unref();
    worker.on('message', (looked: Looked) => this.settle(looked.number, looked));
    const ended = (): void => {
      this.isOver = true;
      for (const number of [...this.waiting.keys()]) this.settle(number, null);
    };
    worker.on('error', ended);
    worker.on('exit', ended);
  }

  /** @returns null where none can be started */
  static start(): LookThread | null {
    try {
      return new LookThread(new Worker(new URL('./look-thread.js', import.meta.url)));
    } catch {
      return null;
    }
  }

  /** @returns null where the thread has ended */
  look(paths: readonly string[]): Promise<Looked | null> {
    if (this.isOver) return Promise.resolve(null);
    const number = ++this.asked;
    this.worker.ref(); // while it is waited for
    this.worker.postMessage({ number, paths: paths.join('\0') } satisfies Asked);
    return new Promise((resolve) => {
      this.waiting.set(number, resolve);
    });
  }

  end(): void {
    this.isOver = true;
    this.worker.terminate().catch(() => {});
  }

  private settle(number: number, looked: Looked | null): void {
    this.waiting.get(number)?.(looked);
    this.waiting.delete(number);
    if (this.waiting.size === 0) this.worker.unref();
  }
}
