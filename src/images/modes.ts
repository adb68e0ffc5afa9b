/**
 * How a file becomes pixels. `photo`: orientation and colour profile applied, antialiased resize, alpha blended on white.
 * `keras`: the pixels of `keras.utils.load_img` (nearest). `keras-bilinear`: those of `tf.image.resize`.
 */
export type ImageMode = 'photo' | 'keras' | 'keras-bilinear';

/** Bumped when the pixels of any mode change. */
export const PIXELS_REVISION = 1;

/** What transparent pixels are blended on in `photo` mode: white. */
export const BACKGROUND = [255, 255, 255] as const;
