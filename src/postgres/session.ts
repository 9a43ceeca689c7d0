/**
 * Connections whose session is ours alone. Straight to the server, what is set once stays set and what was planned
 * once stays planned, so a save there is the bare statement and nothing else. Behind a pooler the next transaction may
 * have another session, and nothing may be left in this one.
 *
 * How to tell: at connect a server names its process, for those who want to cancel a query. A pooler cannot pass that
 * on, since it lends another server each time, and makes something up: PgBouncer, pgcat, Odyssey, Supavisor do. So a
 * connection is asked, before its first statement, for the process that answers, and the timeout is set by the
 * same question, only where it is the one that was named. Whatever else is the answer, the session is not ours.
 *
 * Should one pass a name on all the same (none is known to), no message is lost. A statement's name is made of its text
 * and the timeout, and a session learns it after the timeout. Another session does not know it, says so before it
 * runs anything, and the save is tried again; from then on no session of this store counts as ours. What is left is a
 * timeout in a session that others share, and, if sessions change right after the question, one statement that is
 * given up by this side alone. Whoever empties our session (DISCARD ALL) is met in the same way. After a failover the
 * connection is a new one, and is asked.
 */
import { createHash } from 'node:crypto';
import type { PgPoolClient, PgResult } from '../core/pg-shapes.ts';

/** Which sessions are ours, and how statements run there. */
export interface Sessions {
  /** Whether this client's session is ours, with the timeout in force. Costs a round trip once for each client. */
  isOurs(client: PgPoolClient): Promise<boolean>;
  /** Runs a statement that is planned once. The session must be ours. */
  run(client: PgPoolClient, text: string, values: readonly unknown[]): Promise<PgResult>;
}

/** Knows of nothing yet. The timeout is that of each statement, on the server. */
export function createSessions(timeoutMs: number): Sessions {
  const known = new WeakMap<PgPoolClient, boolean>();
  const names = new Map<string, string>();
  let isMistaken = false;
  return {
    async isOurs(client) {
      if (isMistaken) return false;
      let ours = known.get(client);
      if (ours === undefined) known.set(client, (ours = await claim(client, timeoutMs)));
      return ours;
    },
    async run(client, text, values) {
      let name = names.get(text);
      if (name === undefined) names.set(text, (name = nameOf(text, timeoutMs)));
      try {
        return await client.query({ name, text, values });
      } catch (error) {
        if (isOf(error, STRANGE)) isMistaken = true;
        throw error;
      }
    },
  };
}

async function claim(client: PgPoolClient, timeoutMs: number): Promise<boolean> {
  // The bindings of libpq do not show it.
  if (typeof client.processID !== 'number') return false;
  try {
    const { rows } = await client.query(CLAIM, [String(timeoutMs), client.processID]);
    return rows.length === 1;
  } catch (error) {
    // A server that has no answer to this may well take saves in the other way.
    if (error instanceof Error && 'severity' in error) return false;
    throw error;
  }
}

/** At most 63 bytes: what is longer is cut, and then two names could be one. */
function nameOf(text: string, timeoutMs: number): string {
  const hash = createHash('sha256').update(`${timeoutMs} ${text}`).digest('base64url');
  return `lastchunk_${hash}`;
}

function isOf(error: unknown, codes: ReadonlySet<unknown>): boolean {
  return error instanceof Error && 'code' in error && codes.has(error.code);
}

/** Sets nothing unless the condition holds: then there is no row to compute. */
const CLAIM = `SELECT set_config('statement_timeout', $1, false) WHERE pg_backend_pid() = $2`;

/** What a session says that is not the one we know. */
const STRANGE = new Set<unknown>([
  '26000', // invalid_sql_statement_name: does not know what was prepared
  '42P05', // duplicate_prepared_statement: knows what was not
]);
