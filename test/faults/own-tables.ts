/** The tables of docs/own-table.md: each example saves while clients leave, the database is stopped and the process is killed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { STORES } from '../examples/stores.ts';
import { ROOT } from '../support/imports.ts';
import type { App } from './app.ts';
import type { Bench } from './bench.ts';
import type { Conversation } from './conversation.ts';
import type { Fault } from './fault.ts';
import { waitUntil } from './wait.ts';

/** One app for each example, all at the same time over one database and one journal directory, each with its own journal name. */
export const ownTables: Fault = {
  name: 'own-tables',
  title: 'own tables: database unavailable, SIGKILL',
  // The processes of all examples write to one disk, and the database is stopped for most of the time.
  mayBeUnconfirmed: true,
  run: async (bench, streams) => {
    await makeTables(bench);
    const examples = Object.keys(STORES);
    const apps = await Promise.all(
      examples.map((example, at) =>
        bench.app({ env: { EXAMPLE: example, JOURNAL_NAME: `example-${at}` } }),
      ),
    );
    const share = Math.ceil(streams / examples.length / 2);
    await killedWhileAway(bench, apps, share);
    await away(bench, apps, share);
  },
};

/** Creates the tables of the examples, and a view of them under the name that the suite queries. */
async function makeTables(bench: Bench): Promise<void> {
  await bench.query('DROP TABLE lastchunk_messages');
  await bench.query(readFileSync(join(ROOT, 'examples/schema.sql'), 'utf8'));
  await bench.query('CREATE VIEW lastchunk_messages AS SELECT * FROM messages');
  await bench.rows();
}

/** The database crashes, then the processes; these start again before the database does. */
async function killedWhileAway(bench: Bench, apps: readonly App[], share: number): Promise<void> {
  const drawn = await drawKnown(bench, apps.length * share, true);
  const over = runShares(bench, apps, drawn, Math.ceil(share / 2));
  await bench.tokens(drawn, drawn.length * 3);
  await bench.server.stopImmediate();
  await bench.tokens(drawn, drawn.length * 8);
  await Promise.all(apps.map((app) => app.kill()));
  await Promise.all(apps.map((app) => app.start()));
  await over;
  await bench.server.start();
  await bench.settled();
}

/** The database crashes; every client that stays receives its whole answer nevertheless. */
async function away(bench: Bench, apps: readonly App[], share: number): Promise<void> {
  const drawn = await drawKnown(bench, apps.length * share, false);
  const over = runShares(bench, apps, drawn, share);
  await bench.tokens(drawn, drawn.length * 5);
  await bench.server.stopImmediate();
  await over;
  await bench.server.start();
  await bench.settled();
}

/** Runs the same number of conversations on each app. */
async function runShares(
  bench: Bench,
  apps: readonly App[],
  drawn: readonly Conversation[],
  atOnce: number,
): Promise<void> {
  const shares = apps.map((app, at) => {
    const own = drawn.filter((_, index) => index % apps.length === at);
    return bench.run(app, own, atOnce);
  });
  await Promise.all(shares);
}

/** Draws streams and inserts their conversations first, as an app does: a message of an unknown conversation is not saved. */
async function drawKnown(
  bench: Bench,
  count: number,
  mayBeInterrupted: boolean,
): Promise<Conversation[]> {
  const drawn = bench.draw(count, { mayBeInterrupted });
  const ids = drawn.map(({ id }) => id);
  await waitUntil('the conversations are there', () =>
    bench.query('INSERT INTO conversations (id) SELECT unnest($1::text[])', [ids]),
  );
  return drawn;
}
