import type { HeadReport } from './model.js';
import { cellsOf } from './rows.js';

/** Pictures of a report, and of one cell of a confusion matrix. */
const MOST_PICTURES = 600;
const MOST_OF_A_CELL = 24;

/**
 * @returns places of the images whose pictures a report shows, the most telling first: the worst of each head, the least certain,
 *   then of every cell of every matrix the surest, the second, …; mistakes before right ones
 */
export function wantedPictures(heads: readonly HeadReport[]): number[] {
  const wanted = new Set<number>();
  for (const { onData } of heads) for (const row of onData?.mistakes ?? []) wanted.add(onData?.places[row] as number);
  for (const { onData } of heads) for (const row of onData?.uncertain ?? []) wanted.add(onData?.places[row] as number);
  const cells = heads.flatMap(({ info, onData }) => {
    if (onData === null) return [];
    const { classes } = onData.answers;
    return [...cellsOf(onData.answers, info.threshold)].map(([cell, rows]) => ({
      isRight: Math.floor(cell / classes) === cell % classes,
      places: rows.slice(0, MOST_OF_A_CELL).map((row) => onData.places[row] as number),
    }));
  });
  for (const isRight of [false, true]) {
    for (let turn = 0; turn < MOST_OF_A_CELL; turn++) {
      for (const one of cells) {
        const place = one.places[turn];
        if (one.isRight === isRight && place !== undefined) wanted.add(place);
      }
    }
  }
  // Of several labels and of numbers there are no cells: any others.
  for (const { onData } of heads)
    for (const place of onData?.map?.rows.map((row) => onData.places[row]) ?? []) wanted.add(place as number);
  return [...wanted].slice(0, MOST_PICTURES);
}
