/**
 * Where a probe looks for the kept message: the app's own history over HTTP, or a query. Both return candidates; the caller decides whether
 * one of them is the answer.
 */
import { bad } from '../../core/options.ts';
import { checkOptions, loadPg } from '../../postgres/options.ts';
import { isObject, isRecord } from '../../core/values.ts';
import type { DatabaseAddress } from '../database.ts';
import type { Stored } from './witness.ts';

/** The ids by which the message of a visit is found. */
export interface Sought {
  /** The text that this visit put into its request. */
  readonly id: string;
  /** `X-Message-Id`, where the answer had one. */
  readonly messageId: string | undefined;
}

/** A place where messages are kept. */
export interface History {
  /** All candidates for the row of this message. Rejects when the request or query fails. */
  rows(sought: Sought): Promise<readonly Stored[]>;
  close(): Promise<void>;
}

/** Placeholders for the id, and for the message's id, in URLs, bodies and queries. */
export const ID = '{id}';
export const MESSAGE_ID = '{message}';

/** Timeout of one request or query; the caller repeats it. */
const ASK_MS = 10_000;

/** The app's history: a GET of `url`, with both placeholders filled in. Credentials in the URL are sent as basic authentication. */
export function httpHistory(url: string, headers: Readonly<Record<string, string>>): History {
  return {
    async rows({ id, messageId }) {
      const filled = url
        .replaceAll(ID, encodeURIComponent(id))
        .replaceAll(MESSAGE_ID, () => encodeURIComponent(required(messageId)));
      const signal = AbortSignal.timeout(ASK_MS);
      const { address, authorization } = splitCredentials(filled);
      const sent = { ...authorization, ...headers };
      // Headers may hold a token, which must not be sent to the target of a redirect.
      const answer = await fetch(address, { headers: sent, signal, redirect: 'manual' });
      const text = await answer.text();
      // 404: the conversation does not exist yet, so nothing is kept.
      if (answer.status === 404) return [];
      if (!answer.ok) throw new Error(`the history was answered with status ${answer.status}`);
      return rowsIn(parsed(text), messageId);
    },
    close: () => Promise.resolve(),
  };
}

/** `fetch` rejects an address with credentials, and quotes it in its error. */
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

/**
 * `sql` with the placeholders as parameters; without `sql`, a query of lastchunk's own table. Throws `bad-option` for an invalid address.
 */
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
    // An idle connection broke; the next query opens a new one.
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

/** The parsed JSON, or the text itself if it is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The whole history is one text.
    return text;
  }
}

/**
 * Every string in the history; of a record with `content` only that. If a record contains the message's id, only that record is searched.
 * Records with the role of a user or a system are skipped, because a prompt that the model repeats is not an answer.
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

/** Calls `visit` with the value and every value inside it; it does not descend into a value for which `visit` returns false. */
function walk(value: unknown, visit: (value: unknown) => boolean): void {
  if (!visit(value) || !isObject(value)) return;
  for (const inner of Object.values(value)) walk(inner, visit);
}

/** Throws `bad-option` if the history could not distinguish one visit from another. */
export function checkPlaceholders(asking: string, place: string | undefined): void {
  if (place === undefined) return;
  if (place.includes(ID) && !asking.includes(ID)) {
    throw bad(`${ID} stands in the history but in neither URL, header nor body of the request`);
  }
  if (!place.includes(ID) && !place.includes(MESSAGE_ID)) {
    throw bad(`the history must hold ${ID} or ${MESSAGE_ID}, so that one answer is asked for`);
  }
}
