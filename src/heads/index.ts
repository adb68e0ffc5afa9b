export { type FitOptions, resolveFit } from './fit-options.js';
export { type Head, type HeadOrigin, HeadPredictor, loadHead, makeHead, saveHead } from './head.js';
export type { Fold, HeadInfo, Threshold } from './head-info.js';
