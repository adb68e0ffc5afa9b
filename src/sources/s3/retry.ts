/** An answer, or its absence, that another try may better. */
export class PassingFault extends Error {
  constructor(
    message: string,
    /** Milliseconds that the server asks for. */
    readonly after = 0,
  ) {
    super(message);
  }
}

/** How often a request is tried, and how long is waited. */
export interface Patience {
  readonly tries: number;
  /** Of a server that has not answered yet: its name may be wrong. */
  readonly firstTries: number;
  /** Milliseconds up to which is waited after the first try; twice as long after each more. */
  readonly wait: number;
  readonly longestWait: number;
  /** Milliseconds without a byte after which a request is given up. */
  readonly silence: number;
}

/** Half a minute in all, as a store that is busy asks for. */
export const PATIENCE: Patience = { tries: 10, firstTries: 3, wait: 200, longestWait: 20_000, silence: 30_000 };

/** Waits. @throws the signal's reason as soon as it is aborted */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** @returns how long is waited after a try: anything up to a bound that doubles, so that many that failed at once do not return at once */
export function waitAfter(tried: number, { wait, longestWait }: Patience, asked: number): number {
  return Math.max(asked, Math.random() * Math.min(longestWait, wait * 2 ** (tried - 1)));
}
