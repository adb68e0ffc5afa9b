import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { DataError } from '../../errors.js';
import { errorCode, whyUnreadable } from '../../files/index.js';

/** What requests are signed with. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Where requests go, and as whom. */
export interface Settings {
  /** Null: requests are not signed, as public buckets allow. */
  readonly credentials: Credentials | null;
  readonly region: string;
  /** Of a server that is not Amazon's; buckets are then in the path of its addresses. */
  readonly endpoint: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;
type Sections = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** A file of settings as Amazon's tools write it: sections, `name = value`, comments with `#` or `;`; indented lines belong to the one above. */
export function parseSections(text: string): Sections {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*([#;]|$)/.test(line) || /^\s/.test(line)) continue;
    const header = /^\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) {
      section = sections.get(header) ?? new Map();
      sections.set(header, section);
      continue;
    }
    const at = line.indexOf('=');
    if (at > 0) section?.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim());
  }
  return sections;
}

async function sectionsOf(file: string): Promise<Sections> {
  try {
    return parseSections(await readFile(file, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return new Map();
    throw new DataError(`${file} ${whyUnreadable(error)}: it may hold the credentials of the object store`, {
      cause: error,
    });
  }
}

const given = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

/**
 * The settings of Amazon's own tools: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` or
 * `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, else the profile `AWS_PROFILE` (`default`) of
 * `~/.aws/credentials` and `~/.aws/config`. The secrets are in no message.
 * @throws DataError for a profile that does not exist, half of a pair of keys, or a wrong address
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
 */
export async function readSettings(env: Environment = process.env): Promise<Settings> {
  const home = path.join(given(env.HOME) ?? homedir(), '.aws');
  const profile = given(env.AWS_PROFILE) ?? 'default';
  const files = {
    credentials: given(env.AWS_SHARED_CREDENTIALS_FILE) ?? path.join(home, 'credentials'),
    config: given(env.AWS_CONFIG_FILE) ?? path.join(home, 'config'),
  };
  const keys = (await sectionsOf(files.credentials)).get(profile);
  const all = await sectionsOf(files.config);
  const config = all.get(profile === 'default' ? profile : `profile ${profile}`) ?? all.get(`profile ${profile}`);
  if (given(env.AWS_PROFILE) !== undefined && keys === undefined && config === undefined) {
    throw new DataError(
      `AWS_PROFILE is ${profile}, and neither ${files.credentials} nor ${files.config} has that profile: add it, or choose another`,
    );
  }
  const endpoint =
    given(env.AWS_ENDPOINT_URL_S3) ?? given(env.AWS_ENDPOINT_URL) ?? given(config?.get('endpoint_url')) ?? null;
  if (endpoint !== null && !isAddress(endpoint)) {
    throw new DataError(`${endpoint} is no address of an object store: set AWS_ENDPOINT_URL_S3 to one with https://`);
  }
  return {
    credentials: credentialsOf(env, keys) ?? credentialsOf({}, config),
    region: given(env.AWS_REGION) ?? given(env.AWS_DEFAULT_REGION) ?? given(config?.get('region')) ?? 'us-east-1',
    endpoint: endpoint?.replace(/\/+$/, '') ?? null,
  };
}

function isAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && search === '' && hash === '';
}

function credentialsOf(env: Environment, keys: ReadonlyMap<string, string> | undefined): Credentials | null {
  const fromEnv = [given(env.AWS_ACCESS_KEY_ID), given(env.AWS_SECRET_ACCESS_KEY)] as const;
  const isEnv = fromEnv[0] !== undefined || fromEnv[1] !== undefined;
  const [accessKeyId, secretAccessKey] = isEnv
    ? fromEnv
    : [given(keys?.get('aws_access_key_id')), given(keys?.get('aws_secret_access_key'))];
  if (accessKeyId === undefined && secretAccessKey === undefined) return null;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const missing = accessKeyId === undefined ? 'access key id' : 'secret access key';
    throw new DataError(
      `the credentials of the object store, ${isEnv ? 'in the environment' : 'in the shared files'}, have no ${missing}: set both`,
    );
  }
  const sessionToken = given(isEnv ? env.AWS_SESSION_TOKEN : keys?.get('aws_session_token'));
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}
