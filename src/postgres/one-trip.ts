/**
 * One statement with a timeout of its own, in one transaction and one round trip, for a session that is not ours.
 *
 * Nothing may be left there (behind PgBouncer in transaction mode the next save has another session), so the
 * timeout has to be local to the transaction of the save. `set_config` inside the statement comes too
 * late: the server arms the timer before it runs it. A timer on this side alone would leave the server waiting
 * for its lock. BEGIN with SET LOCAL, the statement and COMMIT, sent one after the other, take twice as long
 * as the bare upsert; sent without waiting (the `pipeline` of pg 8.23) up to 1.4 times, for each of them is
 * parsed, answered and flushed alone.
 *
 * What costs least is one message train of the extended protocol: set the timeout, run the statement, then
 * one Sync. All before the Sync is one transaction, which the server commits or rolls back there. `pg` does
 * not offer this itself but lets a query write its own messages, which is how its cursors work.
 */
import type { PgModule, PgPoolClient, PgResult } from '../core/pg-shapes.ts';

/** Runs the statement. The client must be one that `speaksProtocol`. Resolves once it is committed. */
export function runInOneTrip(
  { Query }: PgModule,
  client: PgPoolClient,
  statement: { readonly text: string; readonly values: readonly unknown[] },
  timeoutMs: number,
): Promise<PgResult> {
  return new Promise((resolve, reject) => {
    const query = new Query(statement.text, statement.values, (error, results) => {
      if (error) reject(error);
      // Two commands were answered; the statement's is the last.
      else resolve(Array.isArray(results) ? results[1] : results);
    });
    const submit = query.submit.bind(query);
    query.submit = (connection) => {
      connection.stream.cork();
      try {
        connection.parse({ text: setTimeoutSql(timeoutMs), name: '' });
        connection.bind({});
        connection.execute({});
        return submit(connection);
      } finally {
        connection.stream.uncork();
      }
    };
    client.query(query);
  });
}

/** False for the bindings of libpq (`NODE_PG_FORCE_NATIVE`), which show no protocol to write to. */
export function speaksProtocol(client: PgPoolClient): boolean {
  return client.connection !== undefined;
}

/** As a condition that is never true, because a row of its own would end up among those of the statement. */
function setTimeoutSql(timeoutMs: number): string {
  return `SELECT WHERE set_config('statement_timeout', '${timeoutMs}', true) IS NULL`;
}
