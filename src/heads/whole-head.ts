import type { HeadNet } from '../train/head-net.js';
import type { TrainHooks } from '../train/run.js';
import type { TrainedHead } from '../train/train.js';

/**
 * A head that trains on all rows beside those of parts, in their passes over the vectors: how it was after each epoch is kept until the
 * parts have told which epoch is meant.
 */
export class WholeHead {
  private readonly nets: HeadNet[] = [];
  /** The last epoch of any part. */
  private last = 0;

  /** What the training of each part tells. */
  readonly ofParts: Pick<TrainHooks, 'drop'> = {
    drop: (epoch) => {
      this.last = Math.max(this.last, epoch);
      return [];
    },
  };
  /** What its own training tells; it ends soon after that of the parts. */
  readonly own: Pick<TrainHooks, 'drop' | 'onNet'> = {
    onNet: (_, net) => this.nets.push(net),
    drop: (epoch) => (epoch > this.last + 1 ? [0] : []),
  };

  /** @returns the head as if its training had ended with an epoch; where it diverged before that, with the last one that was good */
  after(trained: TrainedHead, epoch: number): TrainedHead {
    const bestEpoch = Math.min(epoch, this.nets.length);
    const history = trained.history.slice(0, bestEpoch);
    const isAll = epoch > this.nets.length || history.length === trained.history.length;
    return {
      ...{ ...trained, history, bestEpoch, net: this.nets[bestEpoch - 1] as HeadNet },
      end: isAll ? trained.end : 'dropped',
    };
  }
}
