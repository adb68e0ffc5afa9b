/**
 * What a user's program may write, imported by the package's name. It is compiled with the strictest options and run by
 * `consumer.test.ts`; `@ts-expect-error` marks what must not compile.
 */
import {
  type FeaturesResult,
  features,
  type Metrics,
  PermafrostError,
  type Prediction,
  predict,
  type TrainResult,
  train,
  UsageError,
  version,
} from 'permafrost';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

same<Awaited<ReturnType<typeof features>>, FeaturesResult>(true);
same<Awaited<ReturnType<typeof train>>, TrainResult>(true);
same<TrainResult['metrics'], Metrics | null>(true);
same<Prediction['scores'], readonly { readonly label: string; readonly score: number }[] | undefined>(true);
same<Extract<Prediction, { error: string }>['label'], undefined>(true);

/** Metrics are narrowed by what only one kind has. */
export function accuracyOf(metrics: Metrics | null): number | null {
  // @ts-expect-error metrics may be null, and a regression has no accuracy
  metrics.accuracy;
  if (metrics === null || !('accuracy' in metrics)) return null;
  return metrics.accuracy;
}

export async function run(data: string, cache: string, picture: string): Promise<Prediction[]> {
  const { dir: set } = await features({ data, cache, base: 'xception-mini' });
  const { metrics, dir } = await train({ data, cache, features: set, learningRate: 0.01 });
  const accuracy = accuracyOf(metrics);
  if (accuracy === null || accuracy < 0.5) throw new Error(`accuracy ${accuracy}`);
  const said: Prediction[] = [];
  for await (const one of predict({ paths: [picture], head: dir, cache })) said.push(one);
  return said;
}

export function misuse(): void {
  // @ts-expect-error data is required
  void (() => features({ base: 'xception-mini' }));
  // @ts-expect-error an unknown option
  void (() => train({ data: 'x', base: 'xception-mini', lr: 0.5 }));
  // @ts-expect-error not one of the poolings
  void (() => features({ data: 'x', base: 'xception-mini', pooling: 'median' }));
  // @ts-expect-error a number is wanted
  void (() => train({ data: 'x', base: 'xception-mini', l2: '0.1' }));
}

export const isWrongUse = (error: unknown): error is UsageError =>
  error instanceof PermafrostError && error instanceof UsageError;

export { version };
