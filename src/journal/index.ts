/**
 * The journal, as the rest of the guard and the CLI may use it.
 */
export { openJournal } from './journal.ts';
export type { JournalWiring } from './journal.ts';
export { resolveJournalOptions } from './options.ts';
export type { JournalOption, JournalSettings } from './options.ts';
export type { DegradedReason } from './write/degraded.ts';
export { dropEntry, dropRefused, listJournal, listRefused, readRefused } from './inspect.ts';
export type { DropResult, JournalListing, OnUnread, RefusedInfo } from './inspect.ts';
