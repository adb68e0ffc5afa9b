import { Session } from 'node:inspector';

/**
 * Frees what JavaScript holds no more, now: what takes memory outside of it does not make it look. Where the debugger is not built in,
 * it goes later.
 */
export async function collectGarbage(): Promise<void> {
  try {
    const session = new Session();
    session.connect();
    await new Promise<void>((resolve) => session.post('HeapProfiler.collectGarbage', () => resolve()));
    session.disconnect();
  } catch {
    // it is collected when JavaScript itself needs memory
  }
}
