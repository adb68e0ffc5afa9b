import { answerAll } from '../../work-thread.js';
import { type Ask, type Given, isDone } from './far-shard.js';
import { Shard } from './shard.js';

/** The thread of far shards: does what it is asked, in order, and answers each. */

const held = new Map<number, Shard>();

async function work(ask: Ask): Promise<Given> {
  if (ask.kind === 'open') {
    held.set(ask.shard, await Shard.create(ask.spec));
    return null;
  }
  const shard = held.get(ask.shard) as Shard;
  switch (ask.kind) {
    case 'chunk':
      return { losses: await shard.take(ask.chunk, ask.x), x: ask.x };
    case 'states':
      return shard.states(ask.names);
    case 'close':
      held.delete(ask.shard);
      await shard.release();
      return null;
  }
}

// The vectors go back with what became of them.
answerAll(work, (given) => (isDone(given) ? [given.x.buffer as ArrayBuffer] : []));
