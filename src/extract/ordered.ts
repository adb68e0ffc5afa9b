import pLimit from 'p-limit';

/**
 * Does `work` on every item, at most `depth` at a time, and gives the results in the order of the items. Nothing more is taken
 * from `source` than has room, so memory stays flat; the first error ends it, once the work in flight is over.
 */
export async function* ordered<T, R>(
  source: AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  depth: number,
): AsyncGenerator<R> {
  const limit = pLimit(depth);
  const pending: Promise<R>[] = [];
  try {
    for await (const item of source) {
      const result = limit(work, item);
      result.catch(() => {}); // handled when its turn comes
      pending.push(result);
      const first = pending.length >= depth ? pending.shift() : undefined;
      if (first) yield await first;
    }
    for (let first = pending.shift(); first; first = pending.shift()) yield await first;
  } finally {
    await Promise.allSettled(pending);
  }
}
