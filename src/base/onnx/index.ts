export { LARGE_TENSOR, letGo } from './let-go.js';
export { digestOnnx, type OnnxModel, rereadOnnx, writeOnnx } from './model.js';
export { type OpenOnnxOptions, openOnnx } from './open.js';
export { splice } from './splice.js';
export { mostLiveBytes } from './values.js';
