import { Session } from 'node:inspector';
import { isMainThread } from 'node:worker_threads';
import { EngineError } from '../../errors.js';

/**
 * onnxruntime 1.30 collects what it is used for: a database below the home folder, a log in the temporary folder for each process,
 * an address to send it to; and it reads the whole command line with a regular expression that ends the process where that is long.
 * This variable in the process's environment ends all of it, where it is set before the first session. This module is imported
 * before the one that loads onnxruntime.
 */
const NAME = 'ORT_DISABLE_TELEMETRY';

process.env[NAME] ??= '1';

let inMainThread: Promise<void> | undefined;

/**
 * What must be waited for before the first session: a worker thread has a copy of the environment, which native code does not see,
 * so the main thread is asked to set its own.
 * @throws EngineError where it cannot be asked
 */
export async function withoutTelemetry(): Promise<void> {
  if (isMainThread) return;
  inMainThread ??= setInMainThread();
  await inMainThread;
}

async function setInMainThread(): Promise<void> {
  const waiting = setInterval(() => {}, 1000); // the reply alone does not keep a thread running
  const expression = `process.env.${NAME} ??= ${JSON.stringify(process.env[NAME])}`;
  try {
    const session = new Session();
    session.connectToMainThread();
    try {
      await new Promise<void>((resolve, reject) => {
        session.post('Runtime.evaluate', { expression }, (error, reply) => {
          const failed = error ?? reply.exceptionDetails;
          if (failed) reject(new Error(failed instanceof Error ? failed.message : failed.text));
          else resolve();
        });
      });
    } finally {
      session.disconnect();
    }
  } catch (error) {
    throw new EngineError(
      `onnxruntime would keep and send what it is used for, which cannot be turned off from a worker thread here: set ${NAME}=1 in the environment`,
      { cause: error },
    );
  } finally {
    clearInterval(waiting);
  }
}
