/**
 * Says what was kept: a seen text is kept when a stored text of the same conversation starts with it,
 * character for character. Stores get time for this: nobody is judged while new answers still arrive.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ROUTES } from './agreed.ts';
import type { Database } from './database.ts';
import type { Conversation } from './plan.ts';

/** Judges the conversations again and again until all are kept or nothing new was stored for `quietMs`. */
export async function settle(
  database: Database,
  conversations: readonly Conversation[],
  { quietMs }: { readonly quietMs: number },
): Promise<void> {
  let before = -1;
  let quietSince = Date.now();
  while (Date.now() - quietSince < quietMs) {
    await look(database, conversations);
    const kept = conversations.filter((one) => one.kept === true).length;
    if (kept !== before) quietSince = Date.now();
    before = kept;
    if (conversations.every((one) => one.seen === '' || one.kept !== undefined)) return;
    await sleep(100);
  }
}

/** Notes what is stored now. A verdict that was given at once stays. */
async function look(database: Database, conversations: readonly Conversation[]): Promise<void> {
  for (const route of ROUTES) {
    const mine = conversations.filter((one) => one.route === route);
    const stored = await database.stored(
      route,
      mine.map((one) => one.id),
    );
    for (const one of mine) {
      const texts = stored.get(one.id) ?? [];
      one.rows = texts.length;
      if (one.kept !== undefined || one.seen === '') continue;
      const owed = one.seen.slice(0, one.owed);
      if (texts.some((text) => text.startsWith(owed))) one.kept = true;
    }
  }
}
