import { FeatureSet } from '../../src/store/index.js';
import { key, MAKER, spec, vector } from './store.js';

/** A process of its own that writes the rows [from, to) of the test set, in parts of ten: cache from to d */
const [cache = '', from = '0', to = '0', d = '1'] = process.argv.slice(2);
const set = await FeatureSet.create(cache, 'test', spec(Number(d)));
const writer = set.writer(MAKER);
for (let i = Number(from); i < Number(to); i++) {
  await writer.add(key(i), vector(i, Number(d)));
  if (i % 10 === 9) await writer.flush();
}
await writer.close();
