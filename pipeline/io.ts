/** Prints one line of JSON on stdout. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Who reads the standard output: `head`, for example, leaves when it has seen enough. */
export const reader = {
  isGone: false,
  /** Whether the command ends with it, which one does not that has more to do than to print. */
  isAll: true,
};

/** What a stopped command is rejected with. */
export class Interrupted extends Error {
  constructor(readonly exitCode: number) {
    super('stopped: what is done is kept, and the same command goes on from there');
  }
}

/**
 * A signal that Ctrl-C (or a polite kill) aborts. After the first, both are the system's again: a second one ends the process at
 * once, whatever it is doing. Two that came while the event loop was blocked are seen together, as soon as it goes on; until then
 * Node hands over no signal, and only those that it does not catch (Ctrl-\\, kill -9) end the process.
 */
export function interrupt(): AbortSignal {
  const controller = new AbortController();
  const signals = { SIGINT: 130, SIGTERM: 143 } as const;
  const release = (): void => {
    for (const one of Object.keys(signals)) process.removeListener(one, stop);
  };
  const stop = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      release();
      process.kill(process.pid, name);
    }
    setImmediate(release); // a second one may wait already
    controller.abort(new Interrupted(signals[name as keyof typeof signals]));
  };
  for (const name of Object.keys(signals)) process.on(name, stop);
  return controller.signal;
}

/** `1 part`, `2 parts` */
export const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
