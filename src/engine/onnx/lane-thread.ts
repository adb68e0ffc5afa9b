/** A thread of `LanedRunner`: a session of its own. */
import { answerAll } from '../../work-thread.js';
import type { LaneWork } from './lanes.js';
import { type Feeding, SessionRunner } from './runner.js';
import { openSession } from './session.js';

let opened: { readonly runner: SessionRunner; readonly input: Feeding['input'] } | undefined;
/** onnxruntime takes no shared memory. */
let own = new ArrayBuffer(0);

answerAll<LaneWork, Float32Array[]>(async (work) => {
  if (work.kind === 'open') {
    const { model, options, feeding } = work;
    opened = { runner: new SessionRunner(await openSession(model, options), feeding), input: feeding.input };
    return [];
  }
  if (opened === undefined) throw new Error('it was asked to run before it was opened');
  const { runner, input } = opened;
  if (work.kind === 'release') {
    await runner.release();
    return [];
  }
  const { memory, length, n } = work;
  const bytes = length * (input === 'float32' ? 4 : 1);
  if (own.byteLength < bytes) own = new ArrayBuffer(bytes);
  new Uint8Array(own).set(new Uint8Array(memory, 0, bytes));
  return runner.run(input === 'float32' ? new Float32Array(own, 0, length) : new Uint8Array(own, 0, length), n);
});
