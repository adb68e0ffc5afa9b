import { type FeaturesOptions, features } from '../src/commands/features.js';
import { type Arguments, optionsOf } from './arguments.js';
import { collectSeldom } from './garbage.js';
import { fidelityLine } from './int8.js';
import { counted, interrupt, printJson } from './io.js';
import { Console } from './progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const result = await features({
    ...optionsOf<FeaturesOptions>(given),
    signal: interrupt(),
    onDownload: console.download,
    onStopped: (stored) => console.line(`${counted(stored, 'image')} of this run stored`),
    onStart: ({ name, dir, features }) => console.line(`${name}: ${features} features an image -> ${dir}`),
    onProgress: ({ done, total, extracted }) => {
      if (extracted > 0) collectSeldom();
      console.progress({ done, total, what: 'files', facts: [`${extracted} extracted`] });
    },
    onWarning: (message) => console.line(message),
    onCalibrating: (what, done, total) => console.progress({ done, total, what, facts: [] }),
  });
  const { images, elsewhere, extracted, reused, quarantined, ignored, seconds, imagesPerSecond } = result;
  const rate = extracted > 0 ? ` (${imagesPerSecond.toFixed(1)} images/s)` : '';
  const shares = elsewhere > 0 ? `, ${elsewhere} left to other shards` : '';
  const others = ignored > 0 ? `, ${ignored} other files ignored` : '';
  console.line(
    `${images} images: ${extracted} extracted, ${reused} reused, ${quarantined} quarantined${shares}${others}, ` +
      `in ${seconds.toFixed(1)} s${rate}`,
  );
  const { int8 } = result;
  if (int8?.made) console.line(`${fidelityLine(int8)} -> ${int8.calibration}`);
  if (given.values.json) printJson(result);
}
