import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** Growth between two collections, in percent of what is held: the most that the engine takes itself, if it finds them fast. */
const MOST = 300;
/** Bytes of the heap up to which it may grow by so much. */
const SMALL = 32 * 2 ** 20;
/** Milliseconds after which the heap is looked at again. */
const EVERY = 1000;
let last = Number.NEGATIVE_INFINITY;

/**
 * Collects garbage less often, for commands that decode many pictures; to be called again and again. Pixels lie outside the
 * JavaScript heap, and by default a few megabytes of them, ten times a second, end in a collection that marks all the rest anew,
 * which costs a tenth of the time of a base in int8. A large heap is left to the engine.
 */
export function collectSeldom(): void {
  const now = performance.now();
  if (now - last < EVERY) return;
  last = now;
  setFlagsFromString(`--heap-growing-percent=${getHeapStatistics().used_heap_size <= SMALL ? MOST : 0}`);
}
