/**
 * How a file becomes pixels. `photo`: orientation and colour profile applied, antialiased resize, alpha blended on white.
 * `keras`: the pixels of `keras.utils.load_img` (nearest). `keras-bilinear`: those of `tf.image.resize`.
 */
export type ImageMode = 'photo' | 'keras' | 'keras-bilinear';

/** The revision of each mode's pixels: raised when a change of decoder or resizing moves any of them, so that sets do not mix them. */
export const PIXELS_REVISIONS: Readonly<Record<ImageMode, number>> = { photo: 2, keras: 2, 'keras-bilinear': 2 };

/** What transparent pixels are blended on in `photo` mode: white. */
export const BACKGROUND = [255, 255, 255] as const;
