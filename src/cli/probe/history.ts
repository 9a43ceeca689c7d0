/**
 * Where a probe looks for what was kept: the app's own history over HTTP, or a query. Both return candidates for a row; the caller
 * decides whether one of them is the answer.
 */
import { bad } from '../../core/options.ts';
import { checkOptions, loadPg } from '../../postgres/options.ts';
import { isObject, isRecord } from '../../core/values.ts';
import type { DatabaseAddress } from '../database.ts';
import type { Stored } from './witness.ts';

/** By what the message of a visit is found. */
export interface Sought {
  /** The text that this visit put into its request. */
  readonly id: string;
  /** `X-Message-Id`, where the answer had one. */
  readonly messageId: string | undefined;
}

/** A place where messages are kept. */
export interface History {
  /** Everything that may be the row of this message. Rejects when the place cannot be asked. */
  rows(sought: Sought): Promise<readonly Stored[]>;
  close(): Promise<void>;
}

/** Placeholders for the id, and for the message's id, in URLs, bodies and queries. */
export const ID = '{id}';
export const MESSAGE_ID = '{message}';

/** How long one request may take; then it is repeated. */
const ASK_MS = 10_000;

/** The app's history: a GET of `url`, with both placeholders filled in. Credentials in it are sent as those of a visit are. */
export function httpHistory(url: string, headers: Readonly<Record<string, string>>): History {
  return {
    async rows({ id, messageId }) {
      const filled = url
        .replaceAll(ID, encodeURIComponent(id))
        .replaceAll(MESSAGE_ID, () => encodeURIComponent(required(messageId)));
      const signal = AbortSignal.timeout(ASK_MS);
      const { address, authorization } = splitCredentials(filled);
      const sent = { ...authorization, ...headers };
      // Headers may hold a token, which a redirect could send to somebody else.
      const answer = await fetch(address, { headers: sent, signal, redirect: 'manual' });
      const text = await answer.text();
      // No conversation yet is an answer: nothing is kept.
      if (answer.status === 404) return [];
      if (!answer.ok) throw new Error(`the history was answered with status ${answer.status}`);
      return rowsIn(parsed(text), messageId);
    },
    close: () => Promise.resolve(),
  };
}

/** `fetch` takes no address with credentials, and repeats it in its error. */
function splitCredentials(text: string): {
  readonly address: URL;
  readonly authorization: Readonly<Record<string, string>>;
} {
  const address = new URL(text);
  const { username, password } = address;
  address.username = '';
  address.password = '';
  if (username === '' && password === '') return { address, authorization: {} };
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    address,
    authorization: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
  };
}

/** `sql` with the placeholders as parameters; without it, lastchunk's own table. Throws `bad-option` for an impossible address. */
export function sqlHistory(options: {
  readonly database: DatabaseAddress;
  readonly sql: string | undefined;
  readonly table: string | undefined;
}): History {
  const { sql, database } = options;
  const settings = checkOptions({ ...database, table: options.table });
  const table = settings.table.sql;
  const { Pool } = loadPg();
  const pool = new Pool({
    ...settings.connection,
    max: 2,
    application_name: 'lastchunk-probe',
    connectionTimeoutMillis: ASK_MS,
    query_timeout: ASK_MS,
  });
  pool.on('error', () => {
    // An idle connection died; the next question makes a new one.
  });
  const queryFor = (messageId: string | undefined): string => {
    if (sql !== undefined) return sql;
    const also = messageId === undefined ? '' : ` OR id = ${MESSAGE_ID}`;
    const columns = 'role, content, events, complete, outcome';
    return `SELECT ${columns} FROM ${table} WHERE conversation_id = ${ID}${also}`;
  };
  return {
    async rows({ id, messageId }) {
      const values: string[] = [];
      const text = queryFor(messageId).replaceAll(/\{id\}|\{message\}/g, (placeholder) => {
        values.push(placeholder === ID ? id : required(messageId));
        return `$${values.length}`;
      });
      const client = await pool.connect();
      try {
        return rowsIn((await client.query(text, values)).rows, undefined);
      } finally {
        client.release();
      }
    },
    close: () => pool.end(),
  };
}

function required(messageId: string | undefined): string {
  if (messageId !== undefined) return messageId;
  throw new Error(`the answer had no X-Message-Id for ${MESSAGE_ID}`);
}

/** JSON, or the text as it stands. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A history that is not JSON is one text.
    return text;
  }
}

/**
 * Every string in it, or of a record with `content` only that. Where a record has the message's id, only what is in that
 * record; never what a record with the role of a user says, because a prompt that the model repeats is not an answer.
 */
function rowsIn(history: unknown, messageId: string | undefined): readonly Stored[] {
  const own = messageId === undefined ? undefined : recordWith(history, messageId);
  const rows: Stored[] = [];
  walk(own ?? history, (value) => {
    if (typeof value === 'string') rows.push({ text: value });
    if (isRecord(value) && typeof value['content'] === 'string' && !isAsking(value)) {
      rows.push({ text: value['content'], isRow: true, ...facts(value) });
      return false;
    }
    return !isAsking(value);
  });
  return rows;
}

function facts(record: Readonly<Record<string, unknown>>): Partial<Stored> {
  const { events, complete, outcome } = record;
  return {
    events,
    complete: typeof complete === 'boolean' ? complete : undefined,
    outcome: typeof outcome === 'string' ? outcome : undefined,
  };
}

function recordWith(history: unknown, messageId: string): object | undefined {
  let found: object | undefined;
  walk(history, (value) => {
    if (isRecord(value) && Object.values(value).includes(messageId)) found ??= value;
    return found === undefined;
  });
  return found;
}

function isAsking(value: unknown): boolean {
  return isRecord(value) && ['user', 'human', 'system'].includes(String(value['role']));
}

/** Calls `visit` with every value in it; what it returns false for is not looked into. */
function walk(value: unknown, visit: (value: unknown) => boolean): void {
  if (!visit(value) || !isObject(value)) return;
  for (const inner of Object.values(value)) walk(inner, visit);
}

/** Refuses a place in which one visit could not be told from another. */
export function checkPlaceholders(asking: string, place: string | undefined): void {
  if (place === undefined) return;
  if (place.includes(ID) && !asking.includes(ID)) {
    throw bad(`${ID} stands in the history but in neither URL, header nor body of the request`);
  }
  if (!place.includes(ID) && !place.includes(MESSAGE_ID)) {
    throw bad(`the history must hold ${ID} or ${MESSAGE_ID}, so that one answer is asked for`);
  }
}
