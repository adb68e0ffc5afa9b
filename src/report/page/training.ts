import type { HeadInfo } from '../../heads/head-info.js';
import { overEpochs, type Series } from '../charts/curves.js';
import type { Figure } from '../charts/frame.js';
import { decimals, percent } from '../format.js';

/** How loss and accuracy went over the epochs. */
export function learningFigures({ history, bestEpoch, task, folds, options }: HeadInfo): Figure[] {
  if (history.length === 0) return [];
  const step = options.optimizer === 'lbfgs' ? 'iteration' : 'epoch';
  const of = (name: 'loss' | 'valLoss' | 'valAccuracy') =>
    history.flatMap(({ epoch, [name]: value }) => (value === null ? [] : [[epoch, value] as const]));
  const [loss, valLoss, valAccuracy] = [of('loss'), of('valLoss'), of('valAccuracy')];
  const best = folds === null ? bestEpoch : null;
  const last = history.at(-1);
  const note =
    folds === null
      ? {}
      : { note: `Of the head that was trained on all; the ${folds.length} parts chose the number of ${step}s.` };
  const series: Series[] = [
    { points: loss, look: 's0', text: 'training' },
    ...(valLoss.length === 0 ? [] : [{ points: valLoss, look: 's1', text: 'validation' }]),
  ];
  const what = task === 'regression' ? 'mean square' : 'log loss';
  const figures = [
    overEpochs(
      {
        title: 'Loss',
        says: `Loss over ${history.length} ${step}s: training ends at ${decimals(last?.loss)}${valLoss.length > 0 ? `, validation at ${decimals(valLoss.at(-1)?.[1])}` : ''}.`,
        xLabel: step,
        yLabel: what,
        ...note,
      },
      series,
      best,
    ),
  ];
  if (valAccuracy.length > 0) {
    figures.push(
      overEpochs(
        {
          title: task === 'multilabel' ? 'Labels right' : 'Accuracy',
          says: `Validation accuracy over ${history.length} ${step}s, at the end ${percent(valAccuracy.at(-1)?.[1])}.`,
          xLabel: step,
          yLabel: task === 'multilabel' ? 'share of labels right, at 0.5' : 'share right, at 0.5',
        },
        [{ points: valAccuracy, look: 's1', text: 'validation' }],
        best,
      ),
    );
  }
  return figures;
}
