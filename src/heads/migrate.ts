import { UsageError } from '../errors.js';
import { precisionRecallF1 } from '../metrics/shared.js';
import { resolveOptions } from '../train/options.js';
import { type Fields, isFields } from './fields.js';

/** What a head without these fields is: they came later than the first heads. A new field of `head.json` goes in here. */
const BEFORE = {
  joined: [],
  identity: null,
  test: 0,
  shots: null,
  refit: false,
  testMetrics: null,
  temperature: null,
  folds: null,
  commonest: null,
  meanAnswer: null,
  chosen: null,
  end: null,
  examples: null,
  closedForm: null,
  coverage: null,
} as const;

/**
 * @returns the fields of a `head.json` as the current version has them, what came later with the value that stands for how it was
 * before; what is damaged stays as it is, for the checks to find
 */
export function migrateHeadInfo(fields: Fields): Fields {
  const current = fields.version === 1 ? fromVersion1(fields) : fields;
  return { ...BEFORE, ...current, options: withDefaults(current.options) };
}

/** An option that came later than the head has its default, which is therefore what heads did before there was the option. */
function withDefaults(options: unknown): unknown {
  try {
    return isFields(options) ? resolveOptions(options) : options;
  } catch (error) {
    if (error instanceof UsageError) return options;
    throw error;
  }
}

/** Version 1 knew binary and multiclass heads on one set, seven options, and metrics without what follows from the confusion. */
function fromVersion1(fields: Fields): Fields {
  return {
    ...fields,
    version: 2,
    options: optionsOf1(fields.options),
    metrics: metricsOf1(fields.metrics),
    threshold: fields.task === 'binary' ? { criterion: 'fixed', values: [0.5] } : null,
  };
}

/** `standardize` has become a way of scaling. */
function optionsOf1(options: unknown): unknown {
  if (!isFields(options) || typeof options.standardize !== 'boolean') return options;
  const { standardize, ...rest } = options;
  return { ...rest, scale: standardize ? 'standard' : 'none' };
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
