export { COLORMAPS, type Colormap } from './colormaps.js';
export type { Grid } from './map-picture.js';
export { type MapsOptions, type MapsResult, maps } from './maps.js';
