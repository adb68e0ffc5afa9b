export type { Colormap } from './colormaps.js';
export type { Grid } from './picture.js';
