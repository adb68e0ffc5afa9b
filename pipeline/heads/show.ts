import { headInfo } from '../../src/commands/predict.js';
import type { Arguments } from '../arguments.js';
import { printJson } from '../io.js';
import { confused, eachClass, metricsLine, shortList } from '../outcome.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const info = await headInfo(String(given.values.head), String(given.values.cache));
  const { task, classes, train, val, test, metrics, testMetrics, fingerprint, joined, options } = info;
  console.line(`${task} head${classes.length > 0 ? ` ${shortList(classes)}` : ''}`);
  console.line(`${train} images to train on, ${val} to validate, ${test} to test`);
  if (metrics) console.line(`validation: ${metricsLine(metrics)}`);
  if (testMetrics) console.line(`test: ${metricsLine(testMetrics)}`);
  if (metrics && 'classes' in metrics) {
    for (const line of [...eachClass(classes, metrics), ...confused(classes, metrics)]) console.line(line);
  }
  console.line(
    `on the vectors of ${[fingerprint, ...joined.map((one) => one.fingerprint)].map((one) => one.slice(0, 12)).join(' and ')}`,
  );
  console.line(`options ${JSON.stringify(options)}`);
  if (given.values.json) printJson(info);
}
