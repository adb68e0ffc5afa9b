export { restoreAside, takeOut } from './aside.js';
export {
  type Chunks,
  discard,
  isFromSource,
  isTemporary,
  removeStale,
  removeTree,
  staleNames,
  treeSize,
  writeAtomically,
  writeFiles,
} from './atomic.js';
export { errorCode, storeError, whyUnreadable, whyUnwritable, writeError } from './failure.js';
export { openRegular } from './open.js';
export { tryFolder, tryOutput, writeOutput, writeOutputs } from './output.js';
export { isSameFile, type Placed, placeFile } from './place.js';
export { readLines, readNamed, readSlice, readStart, readWhole } from './read.js';
export { openReader, type Reader } from './reader.js';
export { openScratch, openTemporary, type Scratch, withScratchFolder } from './scratch.js';
export { openSpill, type Spill } from './spill.js';
export { SteadyFile } from './steady.js';
export { type FileIdentity, realSystem, type StoreFile, type StoreOptions, type StoreSystem } from './system.js';
