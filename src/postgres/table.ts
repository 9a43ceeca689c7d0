/**
 * The table: its name, its columns and the SQL over them. Every statement is made from one list of columns, so that none can miss a column
 * that another has.
 */
import type { Outcome, Side } from '../core/message.ts';
import { bad, show } from '../core/options.ts';

/** One row as parameters. Keys are column names; `events` and `metadata` are JSON texts. */
export interface Row {
  readonly id: string;
  readonly stream_id: string;
  readonly conversation_id: string | null;
  readonly role: string;
  readonly content: string;
  readonly complete: boolean;
  readonly outcome: Outcome;
  readonly side: Side;
  readonly revision: number;
  readonly events: string | null;
  readonly metadata: string | null;
  readonly chunks: number;
  readonly bytes: number;
  readonly dropped_bytes: number;
  /** Characters that could not be stored. */
  readonly replaced: number;
  readonly trace_id: string | null;
  readonly started_at: string;
  readonly ended_at: string;
}

/** A checked table name, and its quoted form for SQL. */
export interface Table {
  /** As the app wrote it: `messages` or `schema.messages`. */
  readonly name: string;
  readonly sql: string;
  /** Where migrations are recorded: in the same schema. */
  readonly migrationsSql: string;
}

/** The statements of the store over one table. */
export interface Statements {
  /** Inserts or replaces one row, from plain parameters; `rowCount` counts the row if it was written. */
  readonly upsertOne: string;
  /** Inserts or replaces many rows, from an array for each column; `rowCount` counts those that were written. */
  readonly upsertMany: string;
  /** Selects `stream_id` of each message that the row of its id holds already, at the same or a higher rank. Takes `standingValues`. */
  readonly kept: string;
  /** Replaces the row of this stream, whatever its id, if the rank is higher. */
  readonly replace: string;
  /** Replaces the row of this id, if another stream wrote the same answer into it and the rank is higher. */
  readonly join: string;
  /** Selects a row for each message whose stream has one; `enough`: it needs no update. Takes `standingValues`. */
  readonly standing: string;
  /** Inserts a row, or nothing if the id or the stream has one. */
  readonly insertNew: string;
  /** Inserts a row, or fails with 23505. */
  readonly insert: string;
}

/** Checks and quotes a table name: `table` or `schema.table`, letters, digits, `_`, `$`, `-`. */
export function parseTable(value: unknown): Table {
  const name = value ?? 'lastchunk_messages';
  const parts = typeof name === 'string' ? name.split('.') : [];
  const table = parts.at(-1);
  if (typeof name !== 'string' || table === undefined || !isTableName(parts)) {
    throw bad(
      `\`table\` must be a name or schema.name of letters, digits, _, $ and -, each at most ` +
        `${MAX_IDENTIFIER_BYTES} bytes, not ${show(value)}`,
    );
  }
  const schema = parts.slice(0, -1);
  return { name, sql: quote(parts), migrationsSql: quote([...schema, 'lastchunk_migrations']) };
}

/**
 * The condition under which a new row may replace the one in `table`: the same stream, and a greater
 * `(revision, complete, length(content))`. For an app's own
 * `INSERT INTO table … ON CONFLICT (id) DO UPDATE SET … WHERE ${rankSql('table')}`, over columns that are
 * named as in the built-in table. `table` is put into the SQL as it is given.
 */
export function rankSql(table: string): string {
  return `${table}.stream_id = excluded.stream_id AND ${rankOf('excluded')} > ${rankOf(table)}`;
}

function rankOf(row: string): string {
  return `(${row}.revision, ${row}.complete, length(${row}.content))`;
}

/**
 * The condition under which the row `longer` holds everything that the row `shorter` does, although another stream wrote it: an answer that
 * was requested with POST and resumed with GET, under one id. Both must name the same conversation, and the shorter one must have no
 * events, which may hold more than the other's text does.
 */
function sameAnswerSql(shorter: string, longer: string): string {
  const same = ['conversation_id', 'role'].map((name) => `${longer}.${name} = ${shorter}.${name}`);
  return (
    `${same.join(' AND ')} AND ${shorter}.content <> '' AND ${shorter}.events IS NULL ` +
    `AND starts_with(${longer}.content, ${shorter}.content)`
  );
}

/** Makes the statements for a table. */
export function statements(table: Table): Statements {
  const names = COLUMNS.map(([name]) => name);
  const columns = names.join(', ');
  const marks = names.map((_, index) => `$${index + 1}`).join(', ');
  const arrays = COLUMNS.map(([, type], index) => `$${index + 1}::${arrayType(type)}[]`).join(', ');
  const cells = COLUMNS.map(([name, type]) => `r.${name}${type === 'jsonb' ? '::jsonb' : ''}`);
  const typed = COLUMNS.map(([name, type], index) => `$${index + 1}::${type} AS ${name}`);
  const updates = names
    .filter((name) => name !== 'id' && name !== 'stream_id')
    .map((name) => `${name} = excluded.${name}`);
  const set = `${updates.join(', ')}, saved_at = now()`;
  const given = `(SELECT ${typed.join(', ')}) AS excluded`;
  const standing = STANDING.map(([, type], at) => `$${at + 1}::${arrayType(type)}[]`).join(', ');
  const asked = `unnest(${standing}) AS r(${STANDING.map(([name]) => name).join(', ')})`;
  const enough = `(kept.stream_id = r.stream_id OR ${sameAnswerSql('r', 'kept')}) AND ${rankOf('kept')} >= ${rankOf('r')}`;
  const into = `INSERT INTO ${table.sql} AS kept (${columns})`;
  const ranked = `ON CONFLICT (id) DO UPDATE SET ${set} WHERE ${rankSql('kept')}`;
  return {
    upsertOne: `${into} VALUES (${marks}) ${ranked}`,
    upsertMany: `${into} SELECT ${cells.join(', ')} FROM unnest(${arrays}) AS r(${columns}) ${ranked}`,
    kept: `SELECT r.stream_id FROM ${table.sql} AS kept JOIN ${asked} ON kept.id = r.id WHERE ${enough}`,
    replace: `UPDATE ${table.sql} AS kept SET ${set} FROM ${given} WHERE ${rankSql('kept')}`,
    join:
      `UPDATE ${table.sql} AS kept SET stream_id = excluded.stream_id, ${set} FROM ${given} ` +
      `WHERE kept.id = excluded.id AND ${sameAnswerSql('kept', 'excluded')} AND ${rankOf('excluded')} > ${rankOf('kept')} ` +
      `AND NOT EXISTS (SELECT FROM ${table.sql} AS own WHERE own.stream_id = excluded.stream_id)`,
    standing: `SELECT r.stream_id, ${rankOf('kept')} >= ${rankOf('r')} AS enough FROM ${table.sql} AS kept JOIN ${asked} ON kept.stream_id = r.stream_id`,
    insertNew: `${into} VALUES (${marks}) ON CONFLICT DO NOTHING`,
    insert: `${into} VALUES (${marks})`,
  };
}

/** The parameters of a statement over one row. */
export function rowValues(row: Row): unknown[] {
  return COLUMNS.map(([name]) => row[name]);
}

/** The parameters of a statement over arrays: one for each column. */
export function columnValues(rows: readonly Row[]): unknown[][] {
  return COLUMNS.map(([name]) => rows.map((row) => row[name]));
}

/** The parameters of `kept` and `standing`: one array for each column that they compare. */
export function standingValues(rows: readonly Row[]): unknown[][] {
  return STANDING.map(([name]) => rows.map((row) => row[name]));
}

function isTableName(parts: readonly string[]): boolean {
  return (
    parts.length <= 2 &&
    parts.every(
      (part) =>
        /^[\p{L}_][\p{L}\p{N}_$-]*$/u.test(part) && Buffer.byteLength(part) <= MAX_IDENTIFIER_BYTES,
    )
  );
}

/** An identifier, its parts in double quotes. */
export function quote(parts: readonly string[]): string {
  return parts.map((part) => `"${part}"`).join('.');
}

/** JSON is passed as text inside arrays: pg would treat a JavaScript array in an array as a second dimension. */
function arrayType(type: string): string {
  return type === 'jsonb' ? 'text' : type;
}

/** NAMEDATALEN is 64; PostgreSQL cuts a longer name without an error, and then two names are one table. */
const MAX_IDENTIFIER_BYTES = 63;

/** Every column that a save writes, in the order of the parameters. `saved_at` is the server's clock. */
const COLUMNS: readonly (readonly [keyof Row, string])[] = [
  ['id', 'text'],
  ['stream_id', 'text'],
  ['conversation_id', 'text'],
  ['role', 'text'],
  ['content', 'text'],
  ['complete', 'boolean'],
  ['outcome', 'text'],
  ['side', 'text'],
  ['revision', 'integer'],
  ['events', 'jsonb'],
  ['metadata', 'jsonb'],
  ['chunks', 'bigint'],
  ['bytes', 'bigint'],
  ['dropped_bytes', 'bigint'],
  ['replaced', 'bigint'],
  ['trace_id', 'text'],
  ['started_at', 'timestamptz'],
  ['ended_at', 'timestamptz'],
];

/** The columns that decide whether an existing row makes a save unnecessary. */
const STANDING_NAMES: readonly (keyof Row)[] = [
  'id',
  'stream_id',
  'conversation_id',
  'role',
  'content',
  'complete',
  'revision',
  'events',
];
const STANDING = COLUMNS.filter(([name]) => STANDING_NAMES.includes(name));
