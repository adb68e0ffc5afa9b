import path from 'node:path';
import { type Activation, logitOf, meanOf } from '../explain/activation.js';
import { type Overlay, overlayPng, overlaySvg } from '../explain/picture.js';
import { realSystem, tryOutput, writeOutput } from '../files/index.js';
import type { HeadInfo } from '../heads/head-info.js';
import type { Colormap } from '../maps/colormaps.js';
import { checkOptions, usage } from '../options/check.js';
import { nearestNames } from '../options/nearest.js';
import { plain } from '../plain.js';
import { type Explained, type ExplainerOptions, openExplainer } from './explainer.js';
import { isThere } from './export-place.js';
import { type NamedImages, namesOf } from './names.js';
import { findHead } from './predict.js';
import { type Answer, said } from './prediction.js';
import { baseOf, checkApart, folderOf } from './sort-into.js';

export interface ExplainOptions extends ExplainerOptions, NamedImages {
  /** A head's folder, or its name in `cache/heads`. */
  readonly head: string;
  /** Folder of the pictures, `<name>-<class>.png`. Default `explained`. */
  readonly out?: string;
  /** Whose map is drawn. Default: what the head says of the image; of several labels each of them. */
  readonly class?: string;
  /** Default `png`. */
  readonly format?: 'png' | 'svg';
  /** Default `magma`. */
  readonly colormap?: Colormap;
  /** Write over other pictures that are there. Default false: FileError. */
  readonly replace?: boolean;
}

/** A map that was drawn. */
export interface ExplainedPicture {
  /** Absolute. */
  readonly out: string;
  /** Null of a regression. */
  readonly class: string | null;
  /** Of the map: the mean over all positions of the head's weights times the feature maps. */
  readonly mean: number;
  readonly bias: number;
  /** `mean + bias`: what goes into softmax or sigmoid; of a regression the number itself. */
  readonly logit: number;
  /** Positions of the map. */
  readonly height: number;
  readonly width: number;
}

/** An image and what was drawn of it, or why it could not be used. */
export type ExplainedImage =
  | (Answer & {
      /** As given; in a folder, below it. */
      readonly path: string;
      readonly pictures: readonly ExplainedPicture[];
      readonly error?: undefined;
    })
  | { readonly path: string; readonly error: string; readonly label?: undefined; readonly pictures?: undefined };

const WRITERS = { png: overlayPng, svg: overlaySvg } as const;
/** Classes that are listed below a photo. */
const LISTED = 3;

/** @throws UsageError for a class that the head does not have */
function checkClass({ task, classes }: HeadInfo, name: string | undefined): void {
  if (name === undefined) return;
  if (task === 'regression') throw usage('{class} is about classes, and this head says numbers: leave it out');
  if (classes.includes(name)) return;
  const [nearest = ''] = nearestNames(name, classes, 1);
  const some = classes.length <= 12 ? `: it has ${classes.map(plain).join(', ')}` : `: did you mean ${plain(nearest)}?`;
  throw usage(`{class} % is no class of this head${some}`, plain(name));
}

/** Which classes are drawn, in the head's order. */
function drawnClasses({ task, classes }: HeadInfo, { label }: Answer, outputs: readonly number[], wanted?: string) {
  if (task === 'regression') return [0];
  if (wanted !== undefined) return [classes.indexOf(wanted)];
  const likeliest = outputs.indexOf(Math.max(...outputs));
  if (task !== 'multilabel') return [label === '' ? likeliest : classes.indexOf(label)];
  const labels = label.split('|');
  const said = classes.flatMap((one, k) => (labels.includes(one) ? [k] : []));
  return said.length > 0 ? said : [likeliest];
}

const decimals = (score: number): string => score.toFixed(3);

function overlayOf(info: HeadInfo, image: Explained, answer: Answer, k: number, activation: Activation): Overlay {
  const { task, classes } = info;
  const name = classes[k];
  const ranked = [...answer.scores].sort((a, b) => b.score - a.score).slice(0, LISTED);
  const more = answer.scores.length > ranked.length ? ' …' : '';
  return {
    ...{ pixels: image.pixels, ...image.input, activation },
    title: plain(baseOf(image.absolute)),
    subject: name === undefined ? `value ${answer.label}` : `${plain(name)} ${decimals(image.outputs[k] ?? 0)}`,
    scores: ranked.map(({ label, score }) => `${plain(label)} ${decimals(score)}`).join('   ') + more,
    sum: task === 'regression' ? 'value' : 'logit',
  };
}

/** Gives each image of a run a name of its own. */
class Names {
  private readonly owners = new Map<string, string>();

  /** @returns the file's name without its ending, digits of its content behind it where another image of the run has the name */
  of({ absolute, sha256 }: Explained): string {
    const name = baseOf(absolute);
    const stem = path.basename(name, path.extname(name)) || name;
    for (const one of [stem, ...[8, 64].map((digits) => `${stem}-${sha256.slice(0, digits)}`)]) {
      const key = one.normalize('NFC').toLowerCase(); // some disks take them for the same
      const owner = this.owners.get(key) ?? sha256;
      this.owners.set(key, owner);
      if (owner === sha256) return one;
    }
    return sha256;
  }
}

/**
 * Draws where in images a linear head finds its class: its weights times the last feature maps of the base, over the photo as the base
 * saw it. Average pooling and a linear head may change places, so that the mean over all positions and the bias are the logit.
 * @returns each image in order, once its pictures are in place; of one that cannot be used the reason
 * @throws HeadError for a head with hidden layers, for vectors that are maxima or no averages of maps, and as `predict`; UsageError for
 *   a class that the head does not have; FileError where other pictures are there, or none can be written; EngineError where maps and
 *   stored vectors disagree
 */
export async function* explain(options: ExplainOptions): AsyncGenerator<ExplainedImage> {
  checkOptions('explain', options);
  const { head, out = 'explained', format = 'png', colormap = 'magma', replace = false } = options;
  const paths = await namesOf(options);
  const found = await findHead(head, options.cache);
  checkClass(found.info, options.class);
  const folder = path.resolve(out);
  await checkApart('out', folder, paths, out);
  await tryOutput(path.join(folder, `a.${format}`));
  const explainer = await openExplainer(found, options);
  const { info } = explainer;
  const names = new Names();

  async function draw(image: Explained, answer: Answer, k: number, name: string): Promise<ExplainedPicture> {
    const activation = image.activation(k);
    const bytes = await WRITERS[format](overlayOf(info, image, answer, k, activation), colormap);
    const label = info.classes[k] ?? null;
    const file = `${name}-${label === null ? 'value' : folderOf(label)}.${format}`;
    const place = path.join(folder, file);
    const shown = path.join(out, file);
    if (replace || !(await isThere(realSystem, folder, [[file, () => [bytes]]], shown))) {
      await writeOutput(place, [bytes]);
    }
    const { height, width, bias } = activation;
    return { out: place, class: label, mean: meanOf(activation), bias, logit: logitOf(activation), height, width };
  }

  try {
    for await (const image of explainer.explained(paths)) {
      if (image.error !== undefined) {
        yield { path: image.path, error: image.error };
        continue;
      }
      const answer = said(info, image.outputs);
      const name = names.of(image);
      const pictures: ExplainedPicture[] = [];
      for (const k of drawnClasses(info, answer, image.outputs, options.class)) {
        pictures.push(await draw(image, answer, k, name));
      }
      yield { path: image.path, ...answer, pictures };
    }
  } finally {
    await explainer.close();
  }
}
