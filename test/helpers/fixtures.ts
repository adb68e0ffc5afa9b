import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { needs } from './peers.js';

/** The repository's root, from `dist/test/helpers`. */
export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** A file of test/fixtures. */
export const fixture = (name: string): string => path.join(root, 'test/fixtures', name);

/** A file of the data that lies beside the checkout: real models, golden values. */
export const shared = (name: string): string => path.join(root, '../shared', name);

/** The options of a test that needs that data. */
export const needsShared = needs(existsSync(shared('golden')), '../shared is not there');
