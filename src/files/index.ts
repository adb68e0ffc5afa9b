export {
  type Chunks,
  discard,
  removeStale,
  removeTree,
  staleNames,
  treeSize,
  writeAtomically,
  writeFiles,
} from './atomic.js';
export { readWhole } from './read-whole.js';
export {
  errorCode,
  realSystem,
  type StoreFile,
  type StoreOptions,
  type StoreSystem,
  storeError,
} from './system.js';
