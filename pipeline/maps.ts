import path from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { COLORMAPS, maps, UsageError } from '../src/index.js';
import { interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, engineFlags, given, showDownload, text } from './options.js';
import { Console } from './progress.js';

/** `4x8`: rows x columns. */
function grid(value: unknown): { rows: number; columns: number } {
  const [, rows, columns] = /^(\d{1,4})x(\d{1,4})$/.exec(String(value)) ?? [];
  if (rows === undefined || columns === undefined) {
    throw new UsageError(`--grid must be ROWSxCOLUMNS, for example 4x8, found ${JSON.stringify(value)}`);
  }
  return { rows: Number(rows), columns: Number(columns) };
}

const builder = (yargs: Argv) =>
  engineFlags(baseFlags(common(yargs), 'xception-mini'))
    .positional('path', { describe: 'an image file', string: true, demandOption: true })
    .option('out', { ...text('the picture: .png (3000 × 1800 pixels) or .svg'), default: 'maps.png' })
    .option('grid', { ...text('rows x columns'), default: '4x8' })
    .option('colormap', { ...text('how values become colours'), choices: COLORMAPS, default: 'gray' as const });

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

export const mapsCommand: CommandModule<object, Arguments> = {
  command: 'maps <path>',
  describe: 'draw the first feature maps that a base gives for an image',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const result = await maps({
      ...baseOptions(argv),
      ...given({ threads: argv.threads }),
      path: String(argv.path),
      out: argv.out,
      grid: grid(argv.grid),
      colormap: argv.colormap,
      engine: argv.engine,
      device: argv.device,
      signal: interrupt(),
      onDownload: showDownload(console),
    });
    const { shown, channels, height, width, out } = result;
    console.line(`${shown} of ${channels} feature maps of ${height}x${width} -> ${path.relative('', out)}`);
    if (argv.json) printJson(result);
  },
};
