export { type FitOptions, resolveFit } from './fit-options.js';
export { type Head, type HeadOrigin, HeadPredictor, loadHead, makeHead, saveHead } from './head.js';
export type { HeadInfo } from './head-info.js';
export type { Fold, Learned, Threshold } from './learned.js';
