/** Compares the row of a stream with what its fixture expects. */
import type { Message } from '../../../src/core/message.ts';
import { member } from '../../../src/formats/json.ts';
import type { ExpectedRow, Fixture } from './fixture.ts';

/** One value that is not as expected, in words. */
export type Mismatch = string;

/** What is compared of a stream that was cut off by the end of its process. */
export const CONTENT_KEYS = ['text', 'events'] as const satisfies readonly (keyof ExpectedRow)[];
/** Of one that ended. */
export const ALL_KEYS = [...CONTENT_KEYS, 'outcome', 'complete', 'finish'] as const;

/** What differs, for the keys that are asked for. */
export function compare(
  fixture: Fixture,
  row: Message | undefined,
  keys: readonly (keyof typeof FOUND)[] = ALL_KEYS,
): readonly Mismatch[] {
  const expected = fixture.row;
  if (expected === undefined) return row === undefined ? [] : ['there is a row'];
  if (row === undefined) return ['there is no row'];
  return keys.flatMap((key) => {
    const actual = FOUND[key](row);
    const agrees = expected[key] === 'either' || expected[key] === actual;
    return agrees ? [] : [`${key} ${show(actual)}, not ${show(expected[key])}`];
  });
}

/** Where each value is in the row. */
const FOUND = {
  text: (row) => row.text,
  events: (row) => (row.events === null ? 'none' : 'kept'),
  outcome: (row) => row.outcome,
  complete: (row) => row.complete,
  finish: (row) => member(member(row.metadata, 'lastchunk'), 'finishReason'),
} as const satisfies Partial<Record<keyof ExpectedRow, (row: Message) => unknown>>;

function show(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value);
}
