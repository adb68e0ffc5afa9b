import { precisionRecallF1 } from '../metrics/shared.js';
import { resolveOptions } from '../train/options.js';
import type { Fields } from './fields.js';

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @returns the fields of a `head.json` as the current version has them; what is damaged stays as it is, for the checks to find */
export function migrateHeadInfo(fields: Fields): Fields {
  return fields.version === 1 ? fromVersion1(fields) : fields;
}

/** Version 1 knew binary and multiclass heads on one set, seven options, and metrics without what follows from the confusion. */
function fromVersion1(fields: Fields): Fields {
  const { model, history, bestEpoch, options, metrics, ...rest } = fields;
  return {
    ...rest,
    version: 2,
    joined: [],
    options: optionsOf1(options),
    identity: null,
    test: 0,
    shots: null,
    refit: false,
    metrics: metricsOf1(metrics),
    testMetrics: null,
    threshold: fields.task === 'binary' ? { criterion: 'fixed', values: [0.5] } : null,
    temperature: null,
    folds: null,
    bestEpoch,
    history,
    model,
  };
}

/** `standardize` has become a way of scaling. */
function optionsOf1(options: unknown): unknown {
  if (!isFields(options) || typeof options.standardize !== 'boolean') return options;
  const { standardize, ...rest } = options;
  try {
    return resolveOptions({ ...rest, scale: standardize ? 'standard' : 'none' });
  } catch {
    return options;
  }
}

function metricsOf1(metrics: unknown): unknown {
  if (!isFields(metrics) || !Array.isArray(metrics.confusion)) return metrics;
  const confusion = metrics.confusion as number[][];
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const mean = (values: readonly number[]): number => sum(values) / values.length;
  const classes = confusion.map((row, k) => {
    const hits = Number(row?.[k]);
    const support = sum(row);
    const [precision, recall, f1] = precisionRecallF1(
      hits,
      sum(confusion.map((one) => one[k] ?? 0)) - hits,
      support - hits,
    );
    return { support, precision, recall, f1, auc: null, averagePrecision: null };
  });
  return {
    accuracy: metrics.accuracy,
    balancedAccuracy: mean(classes.flatMap(({ support, recall }) => (support > 0 ? [recall] : []))),
    loss: metrics.loss,
    precision: mean(classes.map(({ precision }) => precision)),
    recall: mean(classes.map(({ recall }) => recall)),
    f1: mean(classes.map(({ f1 }) => f1)),
    auc: metrics.auc,
    averagePrecision: null,
    calibrationError: null,
    classes,
    intervals: null,
    confusion,
  };
}
