import path from 'node:path';
import { type BaseSpec, baseDigest } from './spec.js';

/** The folder in which a cache keeps the base of a spec. */
export const keptDir = (cache: string, spec: BaseSpec): string => path.join(cache, 'bases', baseDigest(spec));
