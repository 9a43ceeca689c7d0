/**
 * What the store's answer does to a save. The answer may come in time, after the message was journaled, or
 * after it was given up; the save's own facts say which.
 */
import type { AnswerHandlers, Entry } from './pending-save.ts';
import type { Journal } from '../journal/port.ts';
import type { Ledger } from './pending-saves.ts';
import type { Reports } from './reports.ts';
import { SILENT } from './store-client.ts';
import type { Shelf } from './shelf.ts';

export interface AnswersOptions {
  readonly journal: Journal | undefined;
  readonly ledger: Ledger;
  readonly shelf: Shelf;
  readonly reports: Reports;
  readonly isAway: () => boolean;
}

export function createAnswers(options: AnswersOptions): AnswerHandlers {
  const { journal, ledger, shelf, reports, isAway } = options;

  const committed = (entry: Entry): void => {
    if (ledger.letGo(entry) && entry.save.log !== undefined) journal?.settled(entry.save.log);
    if (entry.result === undefined) ledger.settle(entry, 'saved');
    else if (entry.result === 'journaled' && !entry.handedOver) reports.replayed(entry, 'saved');
    else if (entry.result === 'lost' || entry.result === 'missing') ledger.late(entry, 'saved');
  };
  /** Not stored by this batch. Pending: the queue sends it again. Else nobody waits, and the journal may have it. */
  const failed = (entry: Entry): void => {
    if (entry.result === undefined) {
      if (isAway()) void shelf.put(entry);
    } else if (entry.underway === 0) {
      if (entry.result === 'missing' && entry.unheard === 0) ledger.late(entry, 'lost');
      ledger.handOver(entry);
    }
  };
  const refuse = async (entry: Entry, sqlstate: string): Promise<void> => {
    entry.refused = true;
    reports.refused(entry, sqlstate);
    const aside = await shelf.setAside(entry, sqlstate);
    const result = aside === 'no' ? 'lost' : 'journaled';
    if (entry.result === undefined) ledger.settle(entry, result);
    else if (entry.result === 'missing') ledger.late(entry, result);
    if (aside === 'no') ledger.handOver(entry);
    else ledger.letGo(entry);
    if (aside === 'aside') reports.replayed(entry, 'refused');
  };

  return {
    onAnswer(entry, answer) {
      entry.underway -= 1;
      if (answer.kind === 'silent') {
        entry.unheard += 1;
        entry.errorType = SILENT;
        return failed(entry);
      }
      entry.answered = true;
      if (answer.kind === 'saved') return committed(entry);
      if (answer.kind === 'refused') {
        entry.errorType = answer.sqlstate;
        return void refuse(entry, answer.sqlstate);
      }
      entry.errorType = answer.errorType;
      return failed(entry);
    },
    onLate(entry, answer) {
      entry.unheard -= 1;
      entry.answered = true;
      if (answer.kind === 'saved') committed(entry);
      else failed(entry);
    },
  };
}
