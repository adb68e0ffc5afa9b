export {
  type Application,
  type ApplicationOptions,
  applications,
  type PublishedWeights,
} from './applications/index.js';
export { graphFromConfig } from './config.js';
export { type DownloadOptions, downloadWeights, isPublished, kerasModels } from './download.js';
export { refusePointer } from './foreign.js';
export { type ImagenetClass, imagenetClasses } from './imagenet-classes.js';
export { type Model, readModel, readOutline } from './load.js';
export { counterUniform, randomWeights } from './random-weights.js';
export { loadWeights, weightShapes } from './weights.js';
export { archiveFile, h5File, isShard, MODEL_JSON, tfjsFiles } from './write.js';
export { activationName, type Reader, type WrittenLayer, type WrittenModel, writtenModel } from './written.js';
