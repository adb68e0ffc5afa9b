import { openBase } from '../../src/index.js';

/** A process of its own that opens each model file it is given and tells, as one line of JSON, how each ended and its peak memory. */
const results: { name: string; message: string }[] = [];
for (const base of process.argv.slice(2)) {
  try {
    await openBase({ base, preprocess: 'tf' });
    results.push({ name: 'opened', message: '' });
  } catch (error) {
    results.push({ name: (error as Error).name, message: (error as Error).message });
  }
}
process.stdout.write(JSON.stringify({ results, rss: process.resourceUsage().maxRSS * 1024 }));
