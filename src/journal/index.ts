/**
 * The journal, as the rest of the guard and the CLI may use it.
 */
export { openJournal } from './journal.ts';
export type { DiskJournal } from './journal.ts';
export { resolveJournalOptions } from './options.ts';
export type { JournalOption, JournalSettings } from './options.ts';
export type { JournalWiring } from './wiring.ts';
export type { DegradedReason } from './write/degraded.ts';
export {
  dropEntry,
  dropRefused,
  listDamaged,
  listJournal,
  listRefused,
  refusedMessages,
} from './operator/inspect.ts';
export type {
  DropResult,
  JournalListing,
  OnUnread,
  RefusedInfo,
  RefusedMessage,
} from './operator/inspect.ts';
export type { PurgeRequest } from './erase.ts';
export { purgeEverywhere } from './operator/purge.ts';
export type { PurgeReport } from './operator/purge.ts';
export { verifyJournal } from './operator/verify.ts';
export type { JournalCheck, SegmentCheck } from './operator/verify.ts';
export { dumpSegment } from './operator/dump.ts';
export type { DumpedRecord } from './operator/dump.ts';
