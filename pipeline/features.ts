import type { Argv, CommandModule } from 'yargs';
import { features, UsageError } from '../src/index.js';
import { counted, interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, engineFlags, given, showDownload } from './options.js';
import { Console } from './progress.js';

const builder = (yargs: Argv) =>
  engineFlags(baseFlags(common(yargs), 'xception-mini'))
    .option('data', { describe: 'folder of images', string: true, requiresArg: true, demandOption: true })
    .option('retry-failed', { describe: 'try images in quarantine again', boolean: true, default: false })
    .option('shard', {
      describe: 'take only share i of n, by content: i/n',
      string: true,
      requiresArg: true,
      coerce: shard,
    })
    .option('verify-hashes', {
      describe: 'hash every file, also those that seem not to have changed',
      boolean: true,
      default: false,
    });

/** `2/8` */
function shard(value: unknown): { index: number; count: number } | undefined {
  if (value === undefined) return undefined;
  const [, index = '0', count = '0'] = /^(\d{1,6})\/(\d{1,6})$/.exec(String(value)) ?? [];
  if (Number(index) < 1 || Number(index) > Number(count)) {
    throw new UsageError(`--shard must be i/n with i from 1 to n, for example 2/8, found ${JSON.stringify(value)}`);
  }
  return { index: Number(index), count: Number(count) };
}

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

export const featuresCommand: CommandModule<object, Arguments> = {
  command: 'features',
  describe: 'run every image once through the base and store its vector',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const result = await features({
      ...baseOptions(argv),
      ...given({ threads: argv.threads, batchSize: argv.batchSize, shard: argv.shard }),
      data: argv.data,
      cache: argv.cache,
      engine: argv.engine,
      device: argv.device,
      retryFailed: argv.retryFailed,
      verifyHashes: argv.verifyHashes,
      signal: interrupt(),
      onDownload: showDownload(console),
      onStopped: (stored) => console.line(`${counted(stored, 'image')} of this run stored`),
      onStart: ({ name, dir, features }) => console.line(`${name}: ${features} features an image -> ${dir}`),
      onProgress: (progress) => console.progress(progress),
      onWarning: (message) => console.line(message),
    });
    const { images, elsewhere, extracted, reused, quarantined, ignored, seconds, imagesPerSecond } = result;
    const rate = extracted > 0 ? ` (${imagesPerSecond.toFixed(1)} images/s)` : '';
    const shares = elsewhere > 0 ? `, ${elsewhere} left to other shards` : '';
    const others = ignored > 0 ? `, ${ignored} other files ignored` : '';
    console.line(
      `${images} images: ${extracted} extracted, ${reused} reused, ${quarantined} quarantined${shares}${others}, ` +
        `in ${seconds.toFixed(1)} s${rate}`,
    );
    if (argv.json) printJson(result);
  },
};
