import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fixture } from './fixtures.js';
import { python } from './peers.js';

/** An answer of the store on its way to who asked. */
export interface Passing {
  readonly method: string;
  /** Path and query, as asked. */
  readonly url: string;
  status: number;
  headers: Record<string, string>;
  bytes: Buffer;
}

/** What is done to an answer: it is changed; or the connection ends, after some of its bytes or before any, or falls silent. */
export type Fault = (passing: Passing) => 'reset' | 'cut' | 'silence' | undefined | Promise<undefined>;

/** An object store that checks signatures, behind a server that may spoil its answers. */
export class ObjectStore {
  fault: Fault = () => undefined;
  /** Whole answers that were passed on, `GET /pics/key`. */
  readonly passed: string[] = [];

  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly lines: AsyncIterator<string>,
    private readonly proxy: Server,
    readonly accessKeyId: string,
    readonly secretAccessKey: string,
  ) {}

  static async start(): Promise<ObjectStore> {
    const child = spawn(python, [fixture('object_store.py')]);
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const { value } = await lines.next();
    if (value === undefined) throw new Error(`the object store did not start: ${said}`);
    const { port, accessKeyId, secretAccessKey } = JSON.parse(value);
    const proxy = createServer((asked, answer) => {
      store.pass(asked, answer, port).catch(() => answer.destroy());
    });
    const store = new ObjectStore(child, lines, proxy, accessKeyId, secretAccessKey);
    await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
    return store;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.proxy.address() as AddressInfo).port}`;
  }

  /** Settings for a process of its own. */
  get env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_S3: this.endpoint,
      AWS_ACCESS_KEY_ID: this.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.secretAccessKey,
      AWS_REGION: 'us-east-1',
    };
  }

  /** Puts an object into the bucket `pics`. */
  put(key: string, bytes: Uint8Array): Promise<void> {
    return this.tell({ put: key, base64: Buffer.from(bytes).toString('base64') });
  }

  delete(key: string): Promise<void> {
    return this.tell({ delete: key });
  }

  /** Objects whose bytes were passed on since the last call. */
  gets(): string[] {
    return this.passed.splice(0).filter((asked) => /^GET \/pics\/[^?]/.test(asked));
  }

  async stop(): Promise<void> {
    this.child.stdin.end();
    this.proxy.closeAllConnections();
    await Promise.all([
      new Promise((closed) => this.child.on('close', closed)),
      new Promise((closed) => this.proxy.close(closed)),
    ]);
  }

  private async tell(command: object): Promise<void> {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value } = await this.lines.next();
    if (value !== 'done') throw new Error('the object store ended');
  }

  private async pass(asked: IncomingMessage, answer: ServerResponse, port: number): Promise<void> {
    const { method = '', url = '', headers } = asked;
    if (headers.authorization === undefined) {
      answer.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      return;
    }
    const given = await new Promise<Passing>((resolve, reject) => {
      const upstream = request({ host: '127.0.0.1', port, method, path: url, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const all = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
          const bytes = Buffer.concat(chunks);
          resolve({ method, url, status: response.statusCode ?? 0, headers: Object.fromEntries(all), bytes });
        });
      });
      upstream.on('error', reject);
      upstream.end();
    });
    const { length } = given.bytes;
    const what = await this.fault(given);
    if (what === 'silence') return;
    if (what === 'reset') {
      answer.destroy();
      return;
    }
    const { connection: _, 'transfer-encoding': __, 'content-length': stated, ...rest } = given.headers;
    const size = method === 'HEAD' ? stated : String(what === 'cut' ? length : given.bytes.length);
    answer.writeHead(given.status, { ...rest, ...(size === undefined ? {} : { 'content-length': size }) });
    if (what === 'cut') {
      answer.write(given.bytes.subarray(0, length / 2), () => answer.destroy());
      return;
    }
    if (given.status < 300) this.passed.push(`${method} ${url}`);
    answer.end(given.bytes);
  }
}
