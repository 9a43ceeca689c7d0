/** Calls a custom format: an error that it throws, or a wrong answer, must not reach the app's handler. */
import { FieldTable } from './account.ts';
import type { Carries, Format, Frame } from './format.ts';
import { kindOf } from './vendors/generic.ts';

const TABLES = new WeakMap<Format, FieldTable>();

/** The rows that an app gave with its format. */
export function tableOf(format: Format, report: (error: unknown) => void): FieldTable {
  const known = TABLES.get(format);
  if (known !== undefined) return known;
  let table = new FieldTable({}, kindOf);
  try {
    table = new FieldTable({ plumbing: format.plumbing ?? [] }, kindOf);
  } catch (error) {
    report(error);
  }
  TABLES.set(format, table);
  return table;
}

/** The answers of a format for one payload. */
interface Answer {
  readonly carries: Carries;
  readonly text: string;
  readonly terminal: boolean;
}

/** Calls the three functions of a format. If one throws or returns a wrong type, the payload is `unknown`. */
export function ask(format: Format, frame: Frame, report: (error: unknown) => void): Answer {
  try {
    const answer = {
      carries: format.carries(frame),
      text: format.text(frame),
      terminal: format.terminal(frame),
    };
    if (typeof answer.text === 'string' && CARRIES.includes(answer.carries)) return answer;
    report(new TypeError('a format must answer a string for text and a known word for carries'));
  } catch (error) {
    report(error);
  }
  return { carries: 'unknown', text: '', terminal: false };
}

const CARRIES: readonly Carries[] = ['nothing', 'content', 'error', 'unknown'];
