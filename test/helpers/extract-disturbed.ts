import { writeSync } from 'node:fs';
import { features } from '../../src/index.js';
import { type Disturbance, disturbed } from './disturb.js';

export interface Driven {
  readonly data: string;
  readonly cache: string;
  readonly base: string;
  readonly batchSize: number;
  readonly partRows: number;
  readonly disturbance: Disturbance | null;
  /** Ms by which the clock is put back. */
  readonly clockBack: number;
}

/**
 * A process of its own that runs stage one, disturbed as the JSON in its argument says. It tells what it does as it does it, a line
 * each: `extracted N`, `operation N`. Exits 3 with the message on stderr where stage one is rejected.
 */
const { disturbance, clockBack, ...options } = JSON.parse(process.argv[2] ?? '{}') as Driven;
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};
const now = () => Date.now() - clockBack;
try {
  await features({
    ...options,
    preprocess: 'tf',
    layer: 'maps',
    threads: 1,
    system: disturbed(disturbance, (count) => say(`operation ${count}`), { now }),
    onProgress: ({ extracted }) => say(`extracted ${extracted}`),
  });
} catch (error) {
  writeSync(2, `${(error as Error).name}: ${(error as Error).message}\n`);
  process.exitCode = 3;
}
