import type { Argv, CommandModule } from 'yargs';
import { exportHead, HEAD_FORMATS } from '../src/index.js';
import { interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, showDownload } from './options.js';
import { Console } from './progress.js';

const builder = (yargs: Argv) =>
  baseFlags(common(yargs), undefined)
    .option('head', { describe: 'a head by name or folder', string: true, requiresArg: true, demandOption: true })
    .option('format', { describe: 'for which runtime', choices: HEAD_FORMATS, requiresArg: true, demandOption: true })
    .option('out', {
      describe: 'the file to write, or the folder of a tfjs model',
      string: true,
      requiresArg: true,
      demandOption: true,
    })
    .option('with-base', {
      describe: 'base and head in one model: pixels in, 0 to 255',
      boolean: true,
      default: false,
    });

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

export const exportCommand: CommandModule<object, Arguments> = {
  command: 'export',
  describe: 'write a head, or base and head in one model, for Keras, TensorFlow.js or ONNX',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const { head, format, out, withBase, cache } = argv;
    const result = await exportHead({
      ...baseOptions(argv),
      ...{ head, format, out, withBase, cache },
      signal: interrupt(),
      onDownload: showDownload(console),
    });
    console.line(`[${result.input.join(', ')}] to ${result.classes.join(' / ') || 'a number'} -> ${result.out}`);
    if (argv.json) printJson(result);
  },
};
