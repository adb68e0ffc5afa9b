import { type HeadOptions, resolveOptions } from '../train/options.js';
import { numbersOf } from '../train/packs.js';
import { type Trained, type TrainingJob, trainTogether } from '../train/train.js';

/** Weights of heads that train at the same time where nobody says otherwise: beyond, they train in turns. */
const MOST_NUMBERS = 2 ** 24;

interface Asked {
  readonly jobs: readonly TrainingJob[];
  readonly resolve: (trained: Promise<Trained[]>) => void;
}

/** Fits side by side: what each of them wants trained next is trained together. The same fits give the same heads. */
export class JointTraining {
  private asked: Asked[] = [];
  private isTraining = false;
  private turn: Promise<unknown> = Promise.resolve();

  /**
   * @param fits how many take part; each asks for one training at a time, and leaves in the end
   * @param most weights of all heads that train at the same time; one job always goes
   */
  constructor(
    private fits = 1,
    private readonly most = MOST_NUMBERS,
  ) {}

  /** @returns what `trainHeads` gives for each job; training begins when every fit has asked or left */
  train(jobs: readonly TrainingJob[]): Promise<Trained[]> {
    return new Promise((resolve) => {
      this.asked.push({ jobs, resolve });
      this.next();
    });
  }

  /** A fit wants nothing more. */
  leave(): void {
    this.fits -= 1;
    this.next();
  }

  /** Work of fits that is better done one after the other, as it takes memory. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work, work);
    this.turn = result.catch(() => {});
    return result;
  }

  private next(): void {
    if (this.isTraining || this.asked.length === 0 || this.asked.length < this.fits) return;
    this.isTraining = true;
    const asked = this.asked;
    this.asked = [];
    const promises = new Map<TrainingJob, Promise<Trained>>();
    const rounds = inRounds(
      asked.flatMap(({ jobs }) => jobs),
      this.most,
    );
    const all = (async () => {
      for (const jobs of rounds) {
        const trained = trainTogether(jobs);
        for (const [i, job] of jobs.entries()) promises.set(job, trained[i] as Promise<Trained>);
        for (const one of asked) {
          if (one.jobs.every((job) => promises.has(job)) && one.jobs.some((job) => jobs.includes(job))) {
            one.resolve(Promise.all(one.jobs.map((job) => promises.get(job) as Promise<Trained>)));
          }
        }
        await Promise.allSettled(trained);
      }
    })();
    void all.then(() => {
      this.isTraining = false;
      this.next();
    });
  }
}

/** @returns the jobs in order, divided so that the weights of those at the same time stay within bounds */
function inRounds(jobs: readonly TrainingJob[], most: number): TrainingJob[][] {
  const rounds: TrainingJob[][] = [];
  let left = 0;
  for (const job of jobs) {
    const numbers = job.heads.reduce((sum, options) => sum + numbersOr0(options, job), 0);
    if (rounds.length === 0 || numbers > left) {
      rounds.push([]);
      left = most;
    }
    rounds.at(-1)?.push(job);
    left -= numbers;
  }
  return rounds;
}

/** Options that cannot be are told when they are trained. */
function numbersOr0(options: HeadOptions, { data }: TrainingJob): number {
  try {
    return numbersOf(resolveOptions(options), data);
  } catch {
    return 0;
  }
}
