import path from 'node:path';
import { type MapsOptions, maps } from '../src/commands/maps.js';
import { type Arguments, optionsOf } from './arguments.js';
import { interrupt, printJson } from './io.js';
import { Console } from './progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<MapsOptions>(given);
  const result = await maps({
    ...options,
    signal: interrupt(),
    onDownload: console.download,
    onStep: console.step,
    onWarning: (message) => console.line(`note: ${message}`),
  });
  const { shown, channels, height, width, out, dead } = result;
  const which = options.strongest === undefined ? '' : ', the strongest';
  const framed = dead.length === 0 ? '' : `, ${dead.length} of them dead (framed)`;
  console.line(
    `${shown} of ${channels} feature maps of ${height}x${width}${which}${framed} -> ${path.relative('', out)}`,
  );
  if (given.values.json) printJson(result);
}
