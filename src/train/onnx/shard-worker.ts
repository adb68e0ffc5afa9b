import { answerAll } from '../thread.js';
import type { Ask, Given } from './far-shard.js';
import { Shard } from './shard.js';
import { tensor } from './tensors.js';

/** The thread of far shards: does what it is asked, in order, and answers each. */

interface Held {
  readonly shard: Shard;
  readonly ring: Float32Array;
  readonly d: number;
}

const held = new Map<number, Held>();

async function work(ask: Ask): Promise<Given> {
  if (ask.kind === 'open') {
    const shard = await Shard.create(ask.spec);
    held.set(ask.shard, { shard, ring: ask.ring, d: ask.spec.spec.d });
    return null;
  }
  const { shard, ring, d } = held.get(ask.shard) as Held;
  switch (ask.kind) {
    case 'chunk': {
      const { size, steps } = ask.chunk;
      shard.begin(ask.chunk);
      const x = new Float32Array(size * d);
      const rows = tensor(x, [size, d]);
      for (let step = 0; step < steps; step++) {
        const from = ask.at + step * x.length;
        x.set(ring.subarray(from, from + x.length)); // the engine takes no shared memory
        await shard.step(rows);
      }
      return shard.end();
    }
    case 'states':
      return shard.states(ask.names);
    case 'close':
      held.delete(ask.shard);
      await shard.release();
      return null;
  }
}

answerAll(work);
