import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { sweep } from '../../src/commands/sweep.js';
import { train } from '../../src/commands/train.js';
import { labelledSet } from '../helpers/labelled-set.js';
import { folder } from '../helpers/store.js';

/** A signal that is aborted when it is looked at for the `nth` time. */
function signalAt(nth: number): { signal: AbortSignal; reason: Error; looked: () => number } {
  const controller = new AbortController();
  const reason = new Error('stopped');
  let looked = 0;
  Object.defineProperty(controller.signal, 'throwIfAborted', {
    value: () => {
      if (++looked === nth) controller.abort(reason);
      if (controller.signal.aborted) throw controller.signal.reason;
    },
  });
  return { signal: controller.signal, reason, looked: () => looked };
}

for (const memory of [2 ** 20, 2000]) {
  test(`training that is stopped anywhere leaves no head, vectors ${memory > 2000 ? 'in memory' : 'streamed'}`, async (t) => {
    const { cache, data, features, labels } = await labelledSet(await folder(t), 60, 8);
    const common = { cache, data, features, memory, epochs: 2, bootstrap: 0, labels: labels('binary') };
    const heads = path.join(cache, 'heads');
    const runs = [
      (signal: AbortSignal) => train({ ...common, signal }),
      (signal: AbortSignal) => sweep({ ...common, grid: ['l2=0,0.1'], signal }),
    ];
    for (const run of runs) {
      let stopped = 0;
      for (let nth = 1; ; nth++) {
        const { signal, reason, looked } = signalAt(nth);
        const ended = await run(signal).then(
          () => null,
          (error: unknown) => error,
        );
        if (ended === null) {
          assert.ok(looked() < nth, `it went on though it was stopped at look ${nth}`);
          break;
        }
        stopped++;
        assert.equal(ended, reason);
        assert.deepEqual(existsSync(heads) ? readdirSync(heads, { recursive: true }) : [], []);
      }
      assert.ok(stopped >= 15, `only ${stopped} places`);
      rmSync(heads, { recursive: true });
    }
  });
}
