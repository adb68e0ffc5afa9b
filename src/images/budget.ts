/**
 * Shares out an amount among tasks, first come first served. A task that wants more than there is runs alone, so none waits forever.
 */
export class Budget {
  private used = 0;
  private readonly waiting: { readonly amount: number; readonly start: () => void }[] = [];

  constructor(private readonly total: number) {}

  /** Does `work` once `amount` is free. */
  async spend<T>(amount: number, work: () => Promise<T>): Promise<T> {
    const share = Math.min(amount, this.total);
    if (this.waiting.length > 0 || this.used + share > this.total) {
      await new Promise<void>((start) => this.waiting.push({ amount: share, start }));
    } else {
      this.used += share;
    }
    try {
      return await work();
    } finally {
      this.used -= share;
      for (let next = this.waiting[0]; next && this.used + next.amount <= this.total; next = this.waiting[0]) {
        this.waiting.shift();
        this.used += next.amount;
        next.start();
      }
    }
  }
}
