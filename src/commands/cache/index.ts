export { type CompactedSet, type CompactSetsOptions, compactSets } from './compact.js';
export { type ExportedSet, type ExportFormat, type ExportSetOptions, exportSet } from './export.js';
export { collectGarbage, type Garbage, type GcOptions, type GcResult } from './gc.js';
export { type ImportedSet, type ImportSetOptions, importSet } from './import.js';
export { listSets, listThumbnails, type SetSummary } from './list.js';
export { type MigratedSet, type MigrateOptions, migrateSets } from './migrate.js';
export type { CacheProgress } from './progress.js';
export type { Recomputed } from './recompute.js';
export { type DamagedPart, type LostImage, type Verified, type VerifyOptions, verifySets } from './verify.js';
