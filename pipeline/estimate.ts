import { type Estimate, type EstimateOptions, estimate } from '../src/commands/estimate.js';
import { type Arguments, optionsOf } from './arguments.js';
import { counted, interrupt, printJson } from './io.js';
import { Console } from './progress.js';

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

function size(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} minutes`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} hours`;
  return `${(seconds / 86_400).toFixed(1)} days`;
}

const number = (value: number): string => value.toLocaleString('en');

function linesOf(found: Estimate): string[] {
  const { base, dim, images, machines, measured, imagesPerSecond, seconds, bytes, parts, memory, imageBytes } = found;
  const what = measured.decoded ? 'images of the folder, read and decoded' : 'made images through the base alone';
  return [
    `${base}: ${imagesPerSecond.toFixed(1)} images/s here (${measured.images} ${what}, in ${measured.seconds.toFixed(1)} s)`,
    `${number(images)} images on ${counted(machines, 'machine')} like this one: ${span(seconds)}`,
    `vectors of ${dim} values: ${size(bytes)} in ${number(parts.written)} parts, ${number(parts.compact)} after cache compact`,
    ...(imageBytes === null ? [] : [`image files: ${size(imageBytes)}, if all are as those measured`]),
    `memory of one machine besides the base: ${size(memory.keys)} for the keys of its share, ${size(memory.index)} for the index of files`,
    ...found.unknown.map((line) => `not known: ${line}`),
  ];
}

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const found = await estimate({
    ...optionsOf<EstimateOptions>(given),
    signal: interrupt(),
    onDownload: console.download,
    onWarning: (message) => console.line(message),
  });
  for (const line of linesOf(found)) console.line(line);
  if (given.values.json) printJson(found);
}
