import path from 'node:path';
import { type ReportOptions, report } from '../src/commands/report.js';
import { type Arguments, optionsOf } from './arguments.js';
import { counted, interrupt, printJson } from './io.js';
import { Console } from './progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const result = await report({
    ...optionsOf<ReportOptions>(given),
    signal: interrupt(),
    onLabels: (message) => console.line(message),
    onWarning: (message) => console.line(`note: ${message}`),
  });
  const { out, bytes, heads, images, pictures } = result;
  const of = images === 0 ? '' : ` on ${counted(images, 'image')}, ${counted(pictures, 'picture')}`;
  console.line(`${counted(heads.length, 'head')}${of}: ${(bytes / 1e6).toFixed(1)} MB -> ${path.relative('', out)}`);
  if (given.values.json) printJson(result);
}
