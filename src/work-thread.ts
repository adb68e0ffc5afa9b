import { parentPort, Worker } from 'node:worker_threads';
import { EngineError } from './errors.js';

interface Asked<Work> {
  readonly number: number;
  readonly work: Work;
}

/** An answer, by the number of what was asked; the first of all, 0, says that the thread listens. */
interface Reply<Given> {
  readonly number: number;
  readonly given?: Given;
  readonly failed?: string;
}

/** Another thread, which does what it is asked, in order, and answers each. */
export class WorkThread<Work, Given> {
  private fault: EngineError | undefined;
  private asked = 0;
  private readonly waiting = new Map<number, { resolve: (given: Given) => void; reject: (error: Error) => void }>();

  private constructor(private readonly worker: Worker) {
    worker.on('message', ({ number, given, failed }: Reply<Given>) => {
      const { resolve, reject } = this.waiting.get(number) ?? {};
      this.waiting.delete(number);
      if (failed === undefined) resolve?.(given as Given);
      else reject?.(new EngineError(failed));
    });
    const ended = (why: string): void => {
      this.fault ??= new EngineError(`a thread that works beside this one ended: ${why}`);
      for (const { reject } of this.waiting.values()) reject(this.fault);
      this.waiting.clear();
    };
    worker.on('error', (error) => ended(error.message));
    worker.on('exit', (code) => ended(`exit ${code}`));
  }

  /** @param file which calls `answerAll` @returns the thread once it listens; null where none can be started */
  static async start<Work, Given>(file: URL): Promise<WorkThread<Work, Given> | null> {
    try {
      const thread = new WorkThread<Work, Given>(new Worker(file));
      await thread.reply(0);
      return thread;
    } catch {
      return null;
    }
  }

  /**
   * @param handed memory that goes over to the thread with it
   * @throws EngineError where it failed, or the thread ended
   */
  ask(work: Work, handed: readonly ArrayBuffer[] = []): Promise<Given> {
    const number = ++this.asked;
    this.worker.postMessage({ number, work } satisfies Asked<Work>, handed);
    return this.reply(number);
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private reply(number: number): Promise<Given> {
    if (this.fault) return Promise.reject(this.fault);
    return new Promise((resolve, reject) => this.waiting.set(number, { resolve, reject }));
  }
}

/** One thread for all of the process that want its work. It ends with the last of them. */
export class CommonThread<Work, Given> {
  private current: Promise<WorkThread<Work, Given> | null> | undefined;
  private users = 0;

  constructor(private readonly file: URL) {}

  /** @returns the thread once it listens, which stays until all who joined have left; null where none can be started */
  join(): Promise<WorkThread<Work, Given> | null> {
    this.users += 1;
    this.current ??= WorkThread.start(this.file);
    return this.current;
  }

  async leave(): Promise<void> {
    this.users -= 1;
    if (this.users > 0) return;
    const last = this.current;
    this.current = undefined;
    await (await last)?.end();
  }
}

/**
 * What a thread's own file calls.
 * @param answer to what is asked, one after the other
 * @param handed memory that goes over to who asked with the answer
 */
export function answerAll<Work, Given>(
  answer: (work: Work) => Given | Promise<Given>,
  handed: (given: Given) => readonly ArrayBuffer[] = () => [],
): void {
  const port = parentPort;
  if (port === null) throw new Error('this file is a thread, which another starts');
  let last: Promise<void> = Promise.resolve();
  port.on('message', ({ number, work }: Asked<Work>) => {
    last = last.then(async () => {
      try {
        const given = await answer(work);
        port.postMessage({ number, given } satisfies Reply<Given>, [...handed(given)]);
      } catch (error) {
        port.postMessage({
          number,
          failed: error instanceof Error ? error.message : `${error}`,
        } satisfies Reply<Given>);
      }
    });
  });
  port.postMessage({ number: 0 } satisfies Reply<Given>);
}
