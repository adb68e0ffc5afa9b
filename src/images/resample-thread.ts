import { parentPort } from 'node:worker_threads';
import { resample } from './resample.js';
import { type Answer, type Asked, samples } from './resample-aside.js';

/** A thread that resizes the pictures that it is sent, one after the other. */

const port = parentPort;
if (port === null) throw new Error('resample-thread.js is a thread, which resample-aside.js starts');
port.on('message', ({ number, shared, raster, width, height, kernel }: Asked) => {
  const data = Uint8Array.from(resample({ ...raster, data: samples(raster, shared) }, width, height, kernel).data);
  port.postMessage({ number, data } satisfies Answer, [data.buffer]);
});
