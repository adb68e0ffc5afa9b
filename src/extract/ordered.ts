import pLimit from 'p-limit';

/**
 * Does `work` on every item, at most `depth` at a time, and gives the results in the order of the items, each as soon as it and those
 * before it are there, whether or not the source has more. Nothing more is taken from `source` than has room, so memory stays flat; the
 * first error ends it, once the work in flight is over. A depth that is a function is asked again for each item.
 */
export async function* ordered<T, R>(
  source: AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  depth: number | (() => number),
): AsyncGenerator<R> {
  const most = typeof depth === 'number' ? () => depth : depth;
  const limit = pLimit(most());
  const pending: Promise<R>[] = [];
  const state = { isOver: false, isLeft: false, more: () => {}, room: () => {} };
  const take = async (): Promise<void> => {
    for await (const item of source) {
      if (state.isLeft) return;
      limit.concurrency = most();
      const result = limit(work, item);
      result.catch(() => {}); // handled when its turn comes
      pending.push(result);
      state.more();
      while (pending.length >= most() && !state.isLeft)
        await new Promise<void>((room) => Object.assign(state, { room }));
    }
  };
  const taken = take().finally(() => {
    state.isOver = true;
    state.more();
  });
  taken.catch(() => {}); // handled when all before it are given
  try {
    for (;;) {
      const first = pending[0];
      if (first !== undefined) {
        const result = await first;
        pending.shift();
        state.room();
        yield result;
      } else if (state.isOver) {
        await taken;
        return;
      } else {
        await new Promise<void>((more) => Object.assign(state, { more }));
      }
    }
  } finally {
    state.isLeft = true;
    state.room();
    await Promise.allSettled(pending);
  }
}
