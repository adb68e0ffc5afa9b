import type { Argv, CommandModule } from 'yargs';
import { features } from '../src/index.js';
import { interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, engineFlags, given, showDownload } from './options.js';
import { Console } from './progress.js';

const builder = (yargs: Argv) =>
  engineFlags(baseFlags(common(yargs), 'xception-mini'))
    .option('data', { describe: 'folder of images', string: true, requiresArg: true, demandOption: true })
    .option('retry-failed', { describe: 'try images in quarantine again', boolean: true, default: false });

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

export const featuresCommand: CommandModule<object, Arguments> = {
  command: 'features',
  describe: 'run every image once through the base and store its vector',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const result = await features({
      ...baseOptions(argv),
      ...given({ threads: argv.threads, batchSize: argv.batchSize }),
      data: argv.data,
      cache: argv.cache,
      engine: argv.engine,
      device: argv.device,
      retryFailed: argv.retryFailed,
      signal: interrupt(),
      onDownload: showDownload(console),
      onStart: ({ name, dir, features }) => console.line(`${name}: ${features} features an image -> ${dir}`),
      onProgress: (progress) => console.progress(progress),
      onWarning: (message) => console.line(message),
    });
    const { images, extracted, reused, quarantined, ignored, seconds, imagesPerSecond } = result;
    const rate = extracted > 0 ? ` (${imagesPerSecond.toFixed(1)} images/s)` : '';
    const others = ignored > 0 ? `, ${ignored} other files ignored` : '';
    console.line(
      `${images} images: ${extracted} extracted, ${reused} reused, ${quarantined} quarantined${others}, ` +
        `in ${seconds.toFixed(1)} s${rate}`,
    );
    if (argv.json) printJson(result);
  },
};
