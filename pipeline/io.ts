/** Prints one line of JSON on stdout. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** What a stopped command is rejected with. */
export class Interrupted extends Error {
  constructor(readonly exitCode: number) {
    super('stopped: what is done is kept, and the same command goes on from there');
  }
}

/** A signal that Ctrl-C (or a polite kill) aborts; a second one ends the process at once. */
export function interrupt(): AbortSignal {
  const controller = new AbortController();
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(name, () => {
      controller.abort(new Interrupted(code));
      process.once(name, () => process.exit(code));
    });
  }
  return controller.signal;
}

/** `1 part`, `2 parts` */
export const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
