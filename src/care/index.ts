export { type CompactedSet, type CompactSetsOptions, compactSets } from './compact.js';
export { listSets, type SetSummary } from './list.js';
export { type DamagedPart, type Verified, type VerifyOptions, verifySets } from './verify.js';
