import type { CommandModule } from 'yargs';
import { sample } from '../src/index.js';
import { interrupt, printJson } from './io.js';
import { given, numberOption } from './options.js';
import { Console } from './progress.js';

interface Arguments {
  out: string;
  seed: number | undefined;
  perClass: number | undefined;
  json: boolean;
  quiet: boolean;
}

export const sampleCommand: CommandModule<object, Arguments> = {
  command: 'sample',
  describe: 'draw a small set of pictures for a first try: surface inspection, ok or defect',
  builder: (yargs) =>
    yargs
      .option('out', { describe: 'where to', string: true, requiresArg: true, default: 'data/sample' })
      .option('seed', numberOption('seed of the drawing', { min: 0, max: 2 ** 32, whole: true, fallback: 0 }))
      .option('per-class', numberOption('pictures a class', { min: 8, max: 100_000, whole: true, fallback: 200 }))
      .option('json', { describe: 'print one JSON object on stdout', boolean: true, default: false })
      .option('quiet', { describe: 'print nothing but errors', boolean: true, default: false }) as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const result = await sample(argv.out, {
      ...given({ seed: argv.seed, perClass: argv.perClass }),
      signal: interrupt(),
      onProgress: (done, total) => console.status(`drawing ${done}/${total}`),
    });
    console.line(
      `${result.dir}: ${result.images} pictures (${result.train} train, ${result.val} val), ${result.classes.join(' and ')}`,
    );
    if (argv.json) printJson(result);
  },
};
