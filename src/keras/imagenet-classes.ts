import { readFile } from 'node:fs/promises';

/** A class of ImageNet 2012 as Keras decodes it. */
export interface ImagenetClass {
  /** WordNet's identifier: `n02123045`. */
  readonly wnid: string;
  readonly label: string;
}

/** What Keras's `imagenet_class_index.json` holds (keras/src/applications/imagenet_utils.py), a class a line. */
const FILE = new URL('../../../base/imagenet_classes.txt', import.meta.url);

let loaded: Promise<ImagenetClass[]> | undefined;

/** @returns the 1,000 classes in the order of a classifier's outputs */
export function imagenetClasses(): Promise<readonly ImagenetClass[]> {
  loaded ??= readFile(FILE, 'utf8').then((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [wnid = '', label = ''] = line.split(' ');
        return { wnid, label };
      }),
  );
  return loaded;
}
