import type { Arguments } from './arguments.js';

/** What a command's module exports. */
export interface CommandModule {
  readonly run: (given: Arguments) => Promise<void>;
}

/** Loads the module of a command when it is called: what others need stays away. */
export const MODULES: Readonly<Record<string, () => Promise<CommandModule>>> = {
  sample: () => import('./sample.js'),
  features: () => import('./features.js'),
  train: () => import('./train.js'),
  sweep: () => import('./sweep.js'),
  predict: () => import('./predict.js'),
  evaluate: () => import('./evaluate.js'),
  explain: () => import('./explain.js'),
  'heads ls': () => import('./heads/list.js'),
  'heads show': () => import('./heads/show.js'),
  'heads compare': () => import('./heads/compare.js'),
  'heads rm': () => import('./heads/remove.js'),
  report: () => import('./report.js'),
  worker: () => import('./worker.js'),
  estimate: () => import('./estimate.js'),
  classify: () => import('./classify.js'),
  maps: () => import('./maps.js'),
  bases: () => import('./bases.js'),
  summary: () => import('./summary.js'),
  export: () => import('./export.js'),
  'cache ls': () => import('./cache/list.js'),
  'cache verify': () => import('./cache/verify.js'),
  'cache compact': () => import('./cache/compact.js'),
  'cache gc': () => import('./cache/gc.js'),
  'cache export': () => import('./cache/export.js'),
  'cache import': () => import('./cache/import.js'),
  'cache migrate': () => import('./cache/migrate.js'),
  completion: () => import('./completion.js'),
};
