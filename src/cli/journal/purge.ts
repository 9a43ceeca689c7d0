/**
 * `lastchunk journal purge`: deletes messages of dead and running processes from the disk, and the streams of a conversation from the
 * relay.
 */
import { access } from 'node:fs/promises';
import {
  type OnUnread,
  purgeEverywhere,
  type PurgeReport,
  type PurgeRequest,
} from '../../journal/index.ts';
import { oneLine } from '../../core/logger.ts';
import { bad } from '../../core/options.ts';
import type { Io } from '../io.ts';
import { printable } from '../terminal.ts';
import { purgeRelays, refuseRelayArguments, type RelayArguments } from './purge-relays.ts';
import { openOnce } from './replay.ts';

/** The arguments of a purge. */
export interface PurgeArguments extends RelayArguments {
  /** The journal's directory. */
  readonly dir: string;
  /** The app's option `journal.name`. */
  readonly name?: string | undefined;
  readonly conversation?: string | undefined;
  readonly 'older-than'?: string | undefined;
  /** True: the app has no journal. */
  readonly 'no-journal'?: boolean | undefined;
}

/**
 * Purges relay and journal, and prints the number of each. Resolves to the exit code: 0, or 1 when something is left. Rejects with
 * `bad-option` for a mistake in the arguments, and with the error of the file system if there is no journal; then nothing was purged.
 */
export async function purge(given: PurgeArguments, io: Io): Promise<number> {
  const request = purgeRequestOf(given);
  // Rejects for a missing directory, before anything is purged.
  if (given['no-journal'] !== true) await access(given.dir);
  const isRelayDone =
    'conversationId' in request ? await purgeRelays(request.conversationId, given, io) : true;
  const isJournalDone = given['no-journal'] === true || (await purgeJournal(given, request, io));
  return isRelayDone && isJournalDone ? 0 : 1;
}

/** Resolves to true when nothing is left that could match the request. */
async function purgeJournal(
  { dir, name }: PurgeArguments,
  request: PurgeRequest,
  io: Io,
): Promise<boolean> {
  const journal = openOnce(dir, io, { store: name, takesForeign: true });
  let failed = 0;
  const onUnread: OnUnread = (where, error) => {
    failed += 1;
    const why = error instanceof Error ? error.message : String(error);
    io.stderr.write(`lastchunk journal: ${printable(where)} is not purged: ${oneLine(why)}\n`);
  };
  let report: PurgeReport;
  try {
    report = await purgeEverywhere(dir, request, { journal, onUnread });
  } finally {
    await journal.close();
  }
  return summarizePurge(report, io) && failed === 0;
}

/** Prints the report. True when nothing is left that could match the request. */
function summarizePurge({ purged, onTheWay, unknown, damagedLeft }: PurgeReport, io: Io): boolean {
  io.stdout.write(`${purged} purged\n`);
  const say = (words: string): void => void io.stderr.write(`lastchunk journal: ${words}\n`);
  if (onTheWay > 0) {
    say(`${onTheWay} are on their way to the database in running processes: delete them there`);
  }
  if (unknown > 0) {
    say(
      `${unknown} have a damaged opening, so their conversation is unknown: see \`list\`, then \`drop\``,
    );
  }
  if (damagedLeft > 0) {
    say(
      `${damagedLeft} damaged segments are kept, in which not everything can be read: see \`list\``,
    );
  }
  return onTheWay + unknown + damagedLeft === 0;
}

function purgeRequestOf(given: PurgeArguments): PurgeRequest {
  const { conversation, 'older-than': olderThan } = given;
  if ((conversation === undefined) === (olderThan === undefined)) {
    throw bad('`purge` takes one of `--conversation ID` and `--older-than TIME`');
  }
  if (conversation !== undefined) return { conversationId: conversation };
  if (given['no-journal'] === true) {
    throw bad('without a journal, give `--conversation ID`: a relay forgets by itself what is old');
  }
  refuseRelayArguments(given);
  const [, count, unit = ''] = /^(\d{1,5})([mhd])$/.exec(olderThan ?? '') ?? [];
  const ageMs = Number(count) * (UNIT_MS[unit] ?? Number.NaN);
  if (!(ageMs > 0)) {
    throw bad('`--older-than` must be a time such as 30m, 12h or 90d');
  }
  return { beforeMs: Date.now() - ageMs };
}

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
