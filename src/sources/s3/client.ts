import { setMaxListeners } from 'node:events';
import type { AwsV4Signer } from 'aws4fetch';
import { DataError } from '../../errors.js';
import { addressOf, type ObjectAddress } from '../address.js';
import { PATIENCE, PassingFault, type Patience, pause, waitAfter } from './retry.js';
import { readSettings, type Settings } from './settings.js';

/** What a server says where it refuses. */
export class RefusedError extends Error {
  constructor(
    readonly status: number,
    /** Such as `NoSuchKey`; empty where it gives none. */
    readonly code: string,
  ) {
    super(code === '' ? `HTTP ${status}` : `HTTP ${status}, ${code}`);
  }
}

export interface Answer {
  readonly headers: Headers;
  readonly bytes: Buffer;
}

export interface Asked extends ObjectAddress {
  readonly method?: 'GET' | 'HEAD';
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** How people call what is asked for; default: its address. */
  readonly where?: string;
  /** Bytes of the longest answer that is taken. */
  readonly most: number;
  /** Looks at an answer. @throws PassingFault for one that another try may better */
  readonly check?: (answer: Answer) => void;
}

/** Refusals that say that the request came too often, or that the server is at fault. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504, 509]);
/** Codes of what concerns all requests, and what to do about it. */
const FOR_ALL: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'the access key is not known there: check AWS_ACCESS_KEY_ID, AWS_PROFILE and AWS_ENDPOINT_URL_S3',
  SignatureDoesNotMatch: 'the secret key does not belong to the access key: check AWS_SECRET_ACCESS_KEY',
  ExpiredToken: 'the session token has expired: get new credentials and run the same command again',
  InvalidToken: 'the session token is not valid: get new credentials and run the same command again',
  TokenRefreshRequired: 'the session token has expired: get new credentials and run the same command again',
  RequestTimeTooSkewed: 'the clock of this machine is wrong: set it',
  NoSuchBucket: 'there is no such bucket: check its name and AWS_ENDPOINT_URL_S3',
};

const whereOf = (asked: Asked): string => asked.where ?? addressOf(asked);

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** Requests to an object store that speaks S3: signed, tried again, and given up with one sentence. */
export class ObjectClient {
  private hasAnswered = false;
  private readonly regions = new Map<string, string>();
  /** Signing keys of a day. */
  private readonly keys = new Map<string, ArrayBuffer>();

  constructor(
    readonly settings: Settings,
    private readonly patience: Patience = PATIENCE,
    /** Reads credentials anew, which may have been renewed on disk. */
    private readonly renewed: (() => Promise<Settings>) | null = null,
    private credentials = settings.credentials,
  ) {}

  /** @throws DataError about the settings */
  static async open(): Promise<ObjectClient> {
    return new ObjectClient(await readSettings(), PATIENCE, readSettings);
  }

  /**
   * @returns the whole answer, of the length that the server states
   * @throws RefusedError where the server refuses this request alone; DataError where it refuses all, or does not answer
   */
  async ask(asked: Asked): Promise<Answer> {
    const { signal } = asked;
    if (signal) setMaxListeners(0, signal); // a listener for each request at once
    let last = '';
    let hasRenewed = false;
    for (let tried = 1; ; tried++) {
      signal?.throwIfAborted();
      let after = 0;
      try {
        const answer = await this.once(asked);
        asked.check?.(answer);
        return answer;
      } catch (error) {
        signal?.throwIfAborted();
        if (
          error instanceof RefusedError &&
          /^(Expired|Invalid)Token$/.test(error.code) &&
          this.renewed &&
          !hasRenewed
        ) {
          this.credentials = (await this.renewed()).credentials;
          hasRenewed = true;
          continue;
        }
        if (!(error instanceof PassingFault)) throw this.told(error, asked);
        last = error.message;
        after = error.after;
      }
      const most = this.hasAnswered ? this.patience.tries : this.patience.firstTries;
      if (tried >= most) {
        throw new DataError(
          `${whereOf(asked)} could not be read (${last}, ${tried} tries): run the same command again later; what is done is kept`,
        );
      }
      await pause(waitAfter(tried, this.patience, Math.min(after, this.patience.longestWait)), signal);
    }
  }

  private told(error: unknown, asked: Asked): unknown {
    if (!(error instanceof RefusedError)) return error;
    const why = FOR_ALL[error.code];
    if (why !== undefined) return new DataError(`${whereOf(asked)} is refused (${error.code}): ${why}`);
    return error;
  }

  private url({ bucket, key, query = {} }: Asked, region: string): URL {
    const { endpoint } = this.settings;
    const path = key.split('/').map(encode).join('/');
    // Names with dots are under no certificate of Amazon's, and old ones with other letters are no names of hosts.
    const isPath = endpoint !== null || !/^[a-z0-9-]+$/.test(bucket);
    const host =
      endpoint ??
      `https://${isPath ? '' : `${bucket}.`}s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
    const url = new URL(`${host}${isPath ? `/${bucket}` : ''}/${path}`);
    url.search = Object.entries(query)
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .join('&');
    return url;
  }

  private async signed(asked: Asked): Promise<{ readonly url: URL; readonly headers: Headers }> {
    const region = this.regions.get(asked.bucket) ?? this.settings.region;
    const url = this.url(asked, region);
    const { method = 'GET' } = asked;
    const headers = new Headers(asked.headers);
    if (this.credentials === null) return { url, headers };
    const { AwsV4Signer: Signer } = await import('aws4fetch');
    const signing = { url: url.href, method, headers, ...this.credentials, service: 's3', region, cache: this.keys };
    const signer: AwsV4Signer = new Signer(signing);
    return { url, headers: (await signer.sign()).headers };
  }

  /** One try. */
  private async once(asked: Asked): Promise<Answer> {
    const { url, headers } = await this.signed(asked);
    // Not signed, as servers in between change it.
    headers.set('accept-encoding', 'identity');
    const ending = new AbortController();
    const { signal } = ending;
    const stop = (): void => ending.abort();
    asked.signal?.addEventListener('abort', stop, { once: true });
    const timer = setTimeout(stop, this.patience.silence);
    try {
      const response = await fetch(url, { method: asked.method ?? 'GET', headers, signal, redirect: 'manual' });
      this.hasAnswered = true;
      const isWanted = response.ok;
      checkEncoding(response);
      const bytes = await body(response, isWanted ? asked.most : 2 ** 20, () => timer.refresh());
      if (isWanted) {
        checkLength(response, asked.method, bytes);
        return { headers: response.headers, bytes };
      }
      throw this.refusal(response, bytes, asked);
    } catch (error) {
      asked.signal?.throwIfAborted();
      if (error instanceof PassingFault || error instanceof RefusedError || error instanceof DataError) throw error;
      throw new PassingFault(signal.aborted ? `no byte for ${this.patience.silence / 1000} s` : reason(error));
    } finally {
      clearTimeout(timer);
      asked.signal?.removeEventListener('abort', stop);
    }
  }

  private refusal(response: Response, bytes: Buffer, asked: Asked): Error {
    const { status, headers } = response;
    const code = /<Code>([A-Za-z0-9._-]{1,100})<\/Code>/.exec(bytes.toString('utf8'))?.[1] ?? '';
    const region =
      headers.get('x-amz-bucket-region') ?? /<Region>([a-z0-9-]{1,40})<\/Region>/.exec(bytes.toString())?.[1];
    if ([301, 307, 400, 403].includes(status) && region && this.settings.endpoint === null) {
      const used = this.regions.get(asked.bucket) ?? this.settings.region;
      if (region !== used && /^[a-z0-9-]{1,40}$/.test(region)) {
        this.regions.set(asked.bucket, region);
        return new PassingFault(`the bucket lies in ${region}`);
      }
    }
    if (status >= 300 && status < 400) {
      return new DataError(
        `${whereOf(asked)}: the server sends elsewhere (HTTP ${status}), which is not followed: set AWS_REGION and AWS_ENDPOINT_URL_S3 to where the bucket lies`,
      );
    }
    if (PASSING.has(status) || code === 'SlowDown' || code === 'RequestTimeout' || code === 'InternalError') {
      const after = Number(headers.get('retry-after') ?? 0) * 1000;
      return new PassingFault(new RefusedError(status, code).message, Number.isFinite(after) ? Math.max(0, after) : 0);
    }
    return new RefusedError(status, code);
  }
}

/** @throws RefusedError for what was put there compressed: only its plain bytes have the size and the content that were listed */
function checkEncoding({ headers, status, body }: Response): void {
  const encoding = headers.get('content-encoding') ?? '';
  if (/^(identity|aws-chunked)?$/i.test(encoding)) return;
  body?.cancel().catch(() => {});
  throw new RefusedError(status, `content-encoding ${encoding.slice(0, 40)}`);
}

/** @throws PassingFault for an answer that is shorter or longer than the server said */
function checkLength({ headers }: Response, method: Asked['method'], { length }: Buffer): void {
  const stated = headers.get('content-length');
  if (method !== 'HEAD' && stated !== null && Number(stated) !== length) {
    throw new PassingFault(`${length} of ${stated} bytes came`);
  }
}

/** @throws PassingFault where the connection breaks; RefusedError for more bytes than are taken */
async function body(response: Response, most: number, onBytes: () => void): Promise<Buffer> {
  if (response.body === null) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    onBytes();
    chunks.push(chunk);
    length += chunk.length;
    if (length > most) throw new RefusedError(response.status, `more than ${most} bytes`);
  }
  return Buffer.concat(chunks, length);
}

function reason(error: unknown): string {
  const { cause, message } = error as Error;
  const inner = cause as NodeJS.ErrnoException | undefined;
  return inner?.code ?? (inner?.message || message);
}
