import { readdirSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { collectGarbage } from '../../src/commands/cache/index.js';
import { disturbed } from './disturb.js';

/**
 * A process of its own that takes out of a cache what no head needs, and kills itself before the nth operation that changes the
 * disk. Where it is told so, the sets come into use just before the first one is moved aside: cache n used
 */
const [cache = '', at = '0', used = ''] = process.argv.slice(2);
const system = disturbed({ at: Number(at), what: 'before' }, (_, operation) => {
  if (operation !== 'rename' || used === '') return;
  for (const name of readdirSync(cache).filter((one) => /^base\d-[0-9a-f]{12}$/.test(one)))
    utimesSync(path.join(cache, name, '_set.json'), new Date(), new Date());
});
await collectGarbage(cache, { unreferenced: true, yes: true, system });
