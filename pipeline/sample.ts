import { drawSample, type SampleOptions } from '../src/commands/sample.js';
import { type Arguments, optionsOf } from './arguments.js';
import { interrupt, printJson } from './io.js';
import { Console } from './progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const result = await drawSample(String(given.values.out), {
    ...optionsOf<SampleOptions>(given),
    signal: interrupt(),
    onProgress: (done, total) => console.progress({ done, total, what: 'pictures' }),
  });
  const { dir, images, train, val, classes } = result;
  console.line(`${dir}: ${images} pictures (${train} train, ${val} val), ${classes.join(' and ')}`);
  if (given.values.json) printJson(result);
}
