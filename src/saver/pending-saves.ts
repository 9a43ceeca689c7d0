/**
 * Keeps account of saves: which of them have no result yet, and which of them owns the records on disk. A save gets its one result
 * here and nowhere else, so that results and expected saves always add up.
 *
 * A stream that went on after its terminal frame has several saves with one log. Each has a result of its
 * own; only the newest one decides what becomes of the log, because its records hold all of them.
 */
import type { Clock } from '../core/clock.ts';
import type { SaveResult } from '../core/message.ts';
import type { Save } from '../core/save-port.ts';
import type { Journal } from '../journal/port.ts';
import { sizeOf } from './batcher.ts';
import { PendingSave, type SaveEffect, type SaveEvent } from './pending-save.ts';
import type { SaveReports } from './reports.ts';

/** What the accounts are made of. */
export interface PendingSavesOptions {
  readonly journal: Journal | undefined;
  readonly reports: SaveReports;
  readonly clock: Clock;
  readonly isStoreAway: () => boolean;
  /** A save has its result. */
  readonly onSettled: (save: PendingSave) => void;
  /** A message has left memory and is in the journal's backlog. */
  readonly onHandedOver: () => void;
}

/** All saves in memory of this process. */
export class PendingSaves {
  readonly #options: PendingSavesOptions;
  readonly #pending = new Set<PendingSave>();
  #pendingBytes = 0;
  /** By stream id: its newest save, while it is neither in the store nor handed over. */
  readonly #newest = new Map<string, PendingSave>();
  #refused = 0;
  readonly #results = { saved: 0, journaled: 0, lost: 0, missing: 0 };

  constructor(options: PendingSavesOptions) {
    this.#options = options;
  }

  /** Saves without a result, oldest first. */
  get pending(): ReadonlySet<PendingSave> {
    return this.#pending;
  }

  /** Estimated bytes of their messages. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Saves that the store refused for good, so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Results so far. */
  get results(): Readonly<Record<SaveResult, number>> {
    return this.#results;
  }

  /** True while a save of this stream is in memory. */
  has(streamId: string): boolean {
    return this.#newest.has(streamId);
  }

  /** Takes a save in, and writes its ending to the journal. */
  add(given: Save): PendingSave {
    const save = new PendingSave(given, this.#options.clock, (of, event, sqlstate) =>
      this.handle(of, event, sqlstate),
    );
    this.#pending.add(save);
    this.#pendingBytes += sizeOf(save.message);
    this.#newest.set(save.message.streamId, save);
    this.#writeEnding(given);
    return save;
  }

  /** Applies an event to a save and carries out its effects. `sqlstate` comes with `refused`. */
  handle(save: PendingSave, event: SaveEvent, sqlstate = ''): void {
    for (const effect of save.step(event)) this.#carryOut(effect, save, sqlstate);
  }

  /**
   * Makes an undecided save `journaled` if the journal can; otherwise it stays as it is. May be called often: resolves when
   * the fsync that is on the way is done.
   */
  journalPending(save: PendingSave): Promise<void> {
    const { journal, clock } = this.#options;
    const { log } = save.save;
    if (save.sync !== undefined) return save.sync.done;
    if (journal === undefined || log === undefined || !save.isUndecided) return Promise.resolve();
    const done = journal.sync(log).then((isOnDisk) => {
      save.sync = undefined;
      if (isOnDisk) this.handle(save, 'synced');
    });
    save.sync = { done, sinceMs: clock.monotonicMs() };
    return done;
  }

  /** The same for all; the journal serves those of one tick with one fsync. */
  journalAllPending(): void {
    for (const save of this.#pending) void this.journalPending(save);
  }

  /** Leaves everything that has a result to replay, at the end. */
  handOverAll(): void {
    for (const save of this.#newest.values()) {
      if (save.result !== undefined) this.handle(save, 'closed');
    }
  }

  #carryOut(effect: SaveEffect, save: PendingSave, sqlstate: string): void {
    const { reports, isStoreAway } = this.#options;
    switch (effect) {
      case 'result-saved':
        return this.#settle(save, 'saved');
      case 'result-journaled':
        return this.#settle(save, 'journaled');
      case 'result-lost':
        return this.#settle(save, 'lost');
      case 'result-lost-or-missing':
        return this.#settle(save, save.isUnknown ? 'missing' : 'lost');
      case 'late-saved':
        if (save.result === 'lost' || save.result === 'missing') this.#settleLate(save, 'saved');
        return;
      case 'late-journaled-if-missing':
        if (save.result === 'missing') this.#settleLate(save, 'journaled');
        return;
      case 'late-lost-if-missing':
        if (save.result === 'missing' && !save.isAwaitingLateAnswer) {
          this.#settleLate(save, 'lost');
        }
        return;
      case 'replayed-saved':
        if (save.result === 'journaled') reports.recordReplay(save, 'saved');
        return;
      case 'replayed-refused':
        return reports.recordReplay(save, 'refused');
      case 'settle-log':
        return this.#settleLog(save);
      case 'hand-over':
        return this.#handOver(save);
      case 'let-go':
        return void this.#release(save);
      case 'journal-if-away':
        if (isStoreAway()) void this.journalPending(save);
        return;
      case 'set-aside':
        this.#refused += 1;
        reports.logRefusal(save, sqlstate);
        return void this.#deadLetter(save, sqlstate);
    }
  }

  /** The one result of a save that has none yet. */
  #settle(save: PendingSave, result: SaveResult): void {
    save.result = result;
    this.#results[result] += 1;
    save.cancelDeadlines();
    if (this.#pending.delete(save)) this.#pendingBytes -= sizeOf(save.message);
    this.#options.onSettled(save);
    this.#options.reports.recordResult(save, result);
    save.settle(result);
  }

  /** A result after `missing` or `lost`; told once. */
  #settleLate(save: PendingSave, result: SaveResult): void {
    if (save.isLateTold) return;
    save.isLateTold = true;
    this.#options.reports.recordLate(save, result);
  }

  /** Whether the log of its stream is this save's to decide about. */
  #isNewest(save: PendingSave): boolean {
    return this.#newest.get(save.message.streamId) === save;
  }

  /** Removes the save; returns whether it was the newest of its stream. */
  #release(save: PendingSave): boolean {
    return this.#isNewest(save) && this.#newest.delete(save.message.streamId);
  }

  #settleLog(save: PendingSave): void {
    const { log } = save.save;
    if (this.#release(save) && log !== undefined) this.#options.journal?.settled(log);
  }

  /** Leaves the message to the journal and its replay, if it was this save's. */
  #handOver(save: PendingSave): void {
    const { journal, onHandedOver } = this.#options;
    const { log } = save.save;
    if (!this.#release(save) || journal === undefined || log === undefined) return;
    journal.keep(log);
    onHandedOver();
  }

  /** Keeps a refused message for an operator; without a journal it is not set aside. */
  async #deadLetter(save: PendingSave, sqlstate: string): Promise<void> {
    const { journal } = this.#options;
    const { log } = save.save;
    if (journal === undefined || log === undefined) return this.handle(save, 'not-set-aside');
    const isWithLater = !this.#isNewest(save);
    const isOnDisk = isWithLater
      ? await journal.sync(log)
      : await journal.refuse(log, save.message, sqlstate);
    if (!isOnDisk) this.handle(save, 'not-set-aside');
    else this.handle(save, isWithLater ? 'set-aside-with-later' : 'set-aside');
  }

  /** The message less what its log has already. */
  #writeEnding({ log, message }: Save): void {
    const { journal } = this.#options;
    if (journal === undefined || log === undefined) return;
    const { text: _text, events: _events, ...ending } = message;
    journal.end(log, ending);
  }
}
