/**
 * Lets the event loop go on between two stretches of work that hold it, so that a signal of the system is heard.
 * @throws the signal's reason when it is aborted
 */
export async function breathe(signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}

/** @returns whether a loop, whose steps take some microseconds, should breathe at this one: at every 32,768th */
export const isBreath = (step: number): boolean => step % 2 ** 15 === 2 ** 15 - 1;
