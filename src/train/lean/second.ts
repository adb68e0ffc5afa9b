import type { SharedMemory } from '../../formats/wasm.js';
import { CommonThread } from '../../work-thread.js';
import type { Measured, MeasureSpec, Walked, WalkSpec } from './walk.js';

/** What the second thread is asked, of vectors in a memory that it shares. */
export type Ask = {
  readonly memory: SharedMemory;
  /** The same for the same memory, which each message brings as another object. */
  readonly number: number;
  /** Of the vectors of `rows`. */
  readonly addresses: Uint32Array;
  readonly rows: Uint32Array;
} & (
  | {
      readonly kind: 'walk';
      readonly walk: WalkSpec;
      /** Shared; other than 0 ends it. */
      readonly stop: Int32Array;
    }
  | { readonly kind: 'measure'; readonly measure: MeasureSpec }
);
export type Given = { readonly walked: Walked } | { readonly measured: Measured };

/** Takes heads of `LeanTrainer`s through their epochs. */
export const secondThread = new CommonThread<Ask, Given>(new URL('./lean-worker.js', import.meta.url));
