import { answerAll } from '../../work-thread.js';
import { sharedKernels } from './kernels.js';
import type { Ask, Given } from './second.js';
import { type Machine, machineOf, measure, Walk } from './walk.js';

/** The second thread of a `LeanTrainer`: takes its heads through an epoch, and measures them. */

let known: { readonly number: number; readonly machine: Machine } | undefined;

function machineOver({ memory, number }: Ask): Machine {
  if (known?.number !== number) known = { number, machine: machineOf(sharedKernels(memory), memory.buffer) };
  return known.machine;
}

answerAll((ask: Ask): Given => {
  const machine = machineOver(ask);
  const { addresses, rows } = ask;
  if (ask.kind === 'measure') return { measured: measure(ask.measure, addresses, rows, machine) };
  const walk = new Walk(ask.walk, machine);
  for (let from = 0; from < rows.length && Atomics.load(ask.stop, 0) === 0; from += ask.walk.batchSize) {
    const to = from + ask.walk.batchSize;
    walk.take(addresses.subarray(from, to), rows.subarray(from, to));
  }
  return { walked: walk.end() };
});
