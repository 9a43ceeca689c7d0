/**
 * The relay's tables and SQL statements. Leases are measured by `clock_timestamp()`, the clock of the database. A renewal of a lease locks
 * the row of the instance, and a claim deletes that row: a claim skips a row that is being renewed, and a renewal after a claim finds no
 * row.
 */
import { CLAIMED } from '../../relay/engine.ts';
import type { Migration } from '../migrations.ts';
import { quote } from '../table.ts';

/** The name under which `lastchunk_migrations` records the relay's migrations. */
export const RELAY_TABLE = 'lastchunk_relay';

/** The quoted names of the three tables. */
export interface RelayTables {
  readonly instances: string;
  readonly streams: string;
  readonly parts: string;
}

/** The SQL of each call of a relay. */
export interface RelayStatements {
  readonly exchange: string;
  readonly find: string;
  readonly findLive: string;
  readonly read: string;
  readonly command: string;
  readonly claim: string;
  readonly settled: string;
  readonly purge: string;
  readonly purgeConversation: string;
}

/** The names of the tables in a schema; `undefined`: the search path selects the schema. */
export function relayTables(schema: string | undefined): RelayTables {
  const named = (name: string): string =>
    quote([...(schema === undefined ? [] : [schema]), `${RELAY_TABLE}_${name}`]);
  return { instances: named('instances'), streams: named('streams'), parts: named('parts') };
}

/** The migration steps. Never change a released step: add a new one. `isDurable` has an effect only when the tables are created. */
export function relayMigrations(tables: RelayTables, isDurable: boolean): readonly Migration[] {
  const create = isDurable ? 'CREATE TABLE' : 'CREATE UNLOGGED TABLE';
  const { instances, streams, parts } = tables;
  return [
    {
      version: 1,
      name: 'relay',
      statements: () => [
        `${create} ${instances} (
          id text PRIMARY KEY,
          expires_at timestamptz NOT NULL,
          following text[] NOT NULL
        ) WITH (fillfactor = 50)`,
        `${create} ${streams} (
          id text PRIMARY KEY,
          instance text NOT NULL,
          head text NOT NULL,
          started_at_ms bigint NOT NULL,
          conversation_id text,
          held_from bigint,
          ending text,
          response_end text,
          is_settled boolean NOT NULL,
          is_stop_wanted boolean NOT NULL,
          retained_until timestamptz
        ) WITH (fillfactor = 80)`,
        `CREATE INDEX ON ${streams} (instance)`,
        `CREATE INDEX ON ${streams} (conversation_id, started_at_ms)`,
        `CREATE INDEX ON ${streams} (retained_until)`,
        `${create} ${parts} (
          stream_id text NOT NULL,
          at bigint NOT NULL,
          body bytea NOT NULL,
          PRIMARY KEY (stream_id, at)
        )`,
        // EXTERNAL: a body over about 2 kB is stored outside the row, without compression, which would cost more than it saves.
        `ALTER TABLE ${parts} ALTER COLUMN body SET STORAGE EXTERNAL`,
      ],
    },
  ];
}

/** Maximum number of streams that one statement deletes. */
export const PURGE_AT_ONCE = 500;
/** Maximum number of parts of a stream that one statement reads. */
const PARTS_AT_ONCE = 256;
/** Maximum length of a part, as the flusher makes them: the first part that a read returns may begin this many bytes before the offset. */
const MAX_PART_BYTES = 65_536;

/** Makes the statements. */
export function relayStatements(tables: RelayTables): RelayStatements {
  const { streams, parts } = tables;
  const record = 'id, conversation_id, head, response_end';
  const isRetained = '(retained_until IS NULL OR retained_until > clock_timestamp())';
  const doomed = (which: string, locked: string): string =>
    `WITH gone AS (
      DELETE FROM ${streams} WHERE id IN (
        SELECT id FROM ${streams} WHERE ${which} ORDER BY id LIMIT ${PURGE_AT_ONCE} FOR UPDATE ${locked}
      ) RETURNING id
    ), emptied AS (DELETE FROM ${parts} p USING gone WHERE p.stream_id = gone.id)
    SELECT count(*)::int AS count FROM gone`;
  return {
    exchange: exchangeSql(tables),
    find: `SELECT ${record} FROM ${streams} WHERE id = $1 AND ${isRetained}`,
    findLive: `SELECT ${record} FROM ${streams} WHERE conversation_id = $1 AND response_end IS NULL
      ORDER BY started_at_ms DESC LIMIT 1`,
    read: readSql(tables, isRetained),
    command: `UPDATE ${streams} SET is_stop_wanted = true WHERE id = $1 AND response_end IS NULL RETURNING id`,
    claim: claimSql(tables),
    settled: `UPDATE ${streams} s SET ${brokenOff(parts, '$3')}
      WHERE s.id = ANY($2::text[]) AND s.instance = ${claimedBy('$1::text')}`,
    purge: doomed('is_settled AND retained_until <= clock_timestamp()', 'SKIP LOCKED'),
    purgeConversation: doomed('conversation_id = $1', ''),
  };
}

/**
 * Parameters: $1 instance, $2 registers, $3 lease and $4 retention in ms, $5 following; $6 to $13 openings, an array for each column; $14
 * to $19 states of streams that this batch does not open, likewise; $20 settled streams without a state; $21 to $23 parts: id, offset and
 * length; $24 the concatenated bytes of all parts, because a driver encodes an array of bytea as text, but a single bytea in binary form.
 */
function exchangeSql({ instances, streams, parts }: RelayTables): string {
  const until = (ms: string): string => `clock_timestamp() + ${ms} * interval '1 millisecond'`;
  const retained = (end: string): string =>
    `CASE WHEN ${end} IS NULL THEN NULL ELSE ${until('$4::float8')} END`;
  return `WITH registered AS (
    INSERT INTO ${instances} (id, expires_at, following)
    SELECT $1::text, ${until('$3::float8')}, $5::text[] WHERE $2::boolean
    ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, following = excluded.following
    RETURNING id
  ), renewed AS (
    UPDATE ${instances} SET expires_at = ${until('$3::float8')}, following = $5::text[]
    WHERE id = $1::text AND NOT $2::boolean
    RETURNING id
  ), lease AS (
    SELECT id FROM registered UNION ALL SELECT id FROM renewed
  ), opened AS (
    INSERT INTO ${streams} (id, instance, head, started_at_ms, conversation_id, held_from, ending,
      response_end, is_settled, is_stop_wanted, retained_until)
    SELECT o.id, lease.id, o.head, o.started_at_ms, o.conversation_id, o.held_from, o.ending,
      o.response_end, o.is_settled, false, ${retained('o.response_end')}
    FROM lease, unnest($6::text[], $7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::text[], $12::text[],
      $13::boolean[])
      AS o(id, head, started_at_ms, conversation_id, held_from, ending, response_end, is_settled)
    ON CONFLICT (id) DO UPDATE SET instance = excluded.instance, head = excluded.head,
      conversation_id = excluded.conversation_id, held_from = excluded.held_from, ending = excluded.ending,
      response_end = excluded.response_end, is_settled = excluded.is_settled, retained_until = excluded.retained_until
  ), changed AS (
    UPDATE ${streams} s SET conversation_id = c.conversation_id, held_from = c.held_from, ending = c.ending,
      response_end = c.response_end, is_settled = s.is_settled OR c.is_settled,
      retained_until = ${retained('c.response_end')}
    FROM lease, unnest($14::text[], $15::text[], $16::bigint[], $17::text[], $18::text[], $19::boolean[])
      AS c(id, conversation_id, held_from, ending, response_end, is_settled)
    WHERE s.id = c.id AND s.instance = lease.id
  ), settled AS (
    UPDATE ${streams} s SET is_settled = true FROM lease WHERE s.id = ANY($20::text[]) AND s.instance = lease.id
  ), written AS (
    INSERT INTO ${parts} AS p (stream_id, at, body)
    SELECT w.stream_id, w.at, substring($24::bytea FROM (w.until - w.size + 1)::int FOR w.size)
    FROM lease, (
      SELECT u.*, sum(u.size) OVER (ORDER BY u.n) AS until
      FROM unnest($21::text[], $22::bigint[], $23::int[]) WITH ORDINALITY AS u(stream_id, at, size, n)
    ) w
    WHERE w.stream_id = ANY($6::text[])
      OR EXISTS (SELECT FROM ${streams} s WHERE s.id = w.stream_id AND s.instance = lease.id)
    ON CONFLICT (stream_id, at) DO UPDATE SET body = excluded.body WHERE length(excluded.body) > length(p.body)
  )
  SELECT EXISTS (SELECT FROM lease) AS is_held,
    ARRAY(
      SELECT coalesce((SELECT p.at + length(p.body) FROM ${parts} p WHERE p.stream_id = o.id ORDER BY p.at DESC LIMIT 1), 0)
      FROM unnest($6::text[]) WITH ORDINALITY AS o(id, n) ORDER BY o.n
    )::float8[] AS lengths,
    ARRAY(SELECT s.id FROM ${streams} s WHERE s.instance = $1::text AND s.is_stop_wanted AND s.response_end IS NULL) AS stops,
    ARRAY(
      SELECT DISTINCT f.id FROM ${instances} i, unnest(i.following) AS f(id)
      WHERE i.id <> $1::text AND i.expires_at > clock_timestamp()
    ) AS followed,
    EXISTS (
      SELECT FROM ${instances} i WHERE i.id <> $1::text AND i.expires_at <= clock_timestamp()
    ) AS has_expired`;
}

/** Parameters: $1 ids, $2 offsets, $3 `withHeld`, $4 `maxBytes`. */
function readSql({ streams, parts }: RelayTables, isRetained: string): string {
  return `SELECT w.n::int AS n, s.held_from::float8 AS held_from, s.response_end, p.at::float8 AS at, p.body
    FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS w(id, at, n)
    JOIN ${streams} s ON s.id = w.id AND ($3::boolean OR ${isRetained})
    LEFT JOIN LATERAL (
      SELECT q.at, q.body FROM (
        SELECT l.at, l.body, sum(length(l.body)) OVER (ORDER BY l.at) - length(l.body) AS before FROM (
          SELECT r.at, r.body FROM ${parts} r WHERE r.stream_id = w.id
            AND r.at >= coalesce(
              (SELECT f.at FROM ${parts} f WHERE f.stream_id = w.id AND f.at <= w.at ORDER BY f.at DESC LIMIT 1), 0)
          ORDER BY r.at LIMIT ${PARTS_AT_ONCE}
        ) l
      ) q WHERE q.before < $4::bigint + ${MAX_PART_BYTES} AND ($3::boolean OR s.held_from IS NULL OR q.at < s.held_from)
    ) p ON true
    ORDER BY w.n, p.at`;
}

/** Parameters: $1 the claiming instance, $2 retention in ms, $3 whether streams that it claimed before are returned too. */
function claimSql({ instances, streams, parts }: RelayTables): string {
  const isHeld = `EXISTS (SELECT FROM ${instances} m WHERE m.id = $1 AND m.expires_at > clock_timestamp())`;
  return `WITH dead AS (
    SELECT i.id FROM ${instances} i
    WHERE i.expires_at <= clock_timestamp() AND i.id <> $1
      AND ${isHeld}
    ORDER BY i.expires_at LIMIT 1 FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM ${instances} i USING dead WHERE i.id = dead.id RETURNING i.id
  ), settled AS (
    UPDATE ${streams} s SET ${brokenOff(parts, '$2')}
    FROM gone WHERE s.instance IN (gone.id, ${claimedBy('gone.id')}) AND s.is_settled AND s.response_end IS NULL
  ), taken AS (
    UPDATE ${streams} s SET instance = ${claimedBy('$1::text')} FROM gone
    WHERE s.instance IN (gone.id, ${claimedBy('gone.id')}) AND NOT s.is_settled
    RETURNING s.id, s.head, s.ending
  )
  SELECT id, head, ending FROM taken
  UNION ALL
  SELECT s.id, s.head, s.ending FROM ${streams} s
  WHERE $3::boolean AND ${isHeld} AND s.instance = ${claimedBy('$1::text')} AND NOT s.is_settled`;
}

/** SQL expression: the owner under which the streams that an instance claimed are stored. */
function claimedBy(instance: string): string {
  return `${instance} || '${CLAIMED}'`;
}

/** Marks a stream that no instance continues as ended; an end that it already has is kept. */
function brokenOff(parts: string, retainMs: string): string {
  return `is_settled = true, held_from = NULL,
    retained_until = coalesce(s.retained_until, clock_timestamp() + ${retainMs}::float8 * interval '1 millisecond'),
    response_end = coalesce(s.response_end, json_build_object('isTidy', false, 'length',
      (SELECT coalesce(max(p.at + length(p.body)), 0) FROM ${parts} p WHERE p.stream_id = s.id),
      'outcome', 'interrupted', 'save', NULL)::text)`;
}
