import { Random } from '../random.js';
import { addDefect } from './defects.js';
import { addDust, addMarks } from './marks.js';
import { MATERIALS, type Material, makeSurface } from './materials.js';
import { photograph } from './photo.js';
import { View } from './surface.js';

export const CLASSES = ['defect', 'ok'] as const;
export type Label = (typeof CLASSES)[number];

/**
 * Draws one picture: a piece of metal, stone, wood, cloth or leather under a lamp. Materials and kinds of defect take turns
 * with the index, so that both classes hold the same share of each.
 * @param index from 0; a picture depends on nothing but the three arguments
 * @returns `[SIDE, SIDE, 3]`, flat, the same on every machine
 */
export function drawPicture(seed: number, label: Label, index: number): Uint8Array {
  const random = new Random(`sample ${seed} ${label} ${index}`);
  const material = MATERIALS[index % MATERIALS.length] as Material;
  const view = new View(random);
  const surface = makeSurface(material, random, view);
  const tint = surface.mean();
  addMarks(surface, random);
  if (label === 'defect') addDefect(surface, material, Math.floor(index / MATERIALS.length), random, view);
  addDust(surface, random);
  return photograph(surface, tint, random);
}
