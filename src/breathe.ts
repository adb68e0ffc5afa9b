/**
 * Lets the event loop go on between two stretches of work that hold it, so that a signal of the system is heard.
 * @throws the signal's reason when it is aborted
 */
export async function breathe(signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}

/** Work in stretches: between two of them others may go on. */
export type Steps<T> = Generator<void, T>;

/** Does such work at one go. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Does such work, and breathes between its stretches. @throws the signal's reason when it is aborted */
export async function inBreaths<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await breathe(signal);
  }
}

/** @returns whether a loop, whose steps take some microseconds, should breathe at this one: the last of every so many, by default 32,768 */
export const isBreath = (step: number, every = 2 ** 15): boolean => step % every === every - 1;
