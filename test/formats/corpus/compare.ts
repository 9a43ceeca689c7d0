/** Compares the row of a stream with what its fixture expects. */
import type { Message } from '../../../src/core/message.ts';
import { member } from '../../../src/formats/json.ts';
import type { ExpectedRow, Fixture } from './fixture.ts';

/** One value that is not as expected, in words. */
export type Mismatch = string;

/** What differs; `saves` and `unknown` are not compared where they are undefined. */
export function compare(
  fixture: Fixture,
  row: Message | undefined,
  seen: { readonly unknown: number | undefined; readonly saves: number | undefined },
): readonly Mismatch[] {
  const expected = fixture.row;
  if (expected === undefined) return row === undefined ? [] : ['there is a row'];
  if (row === undefined) return ['there is no row'];
  const actual = { ...found(row), unknown: seen.unknown };
  const keys = ['text', 'events', 'outcome', 'complete', 'finish', 'unknown'] as const;
  const wrong = keys.filter((key) => !agrees(key, expected, actual));
  const words = wrong.map((key) => `${key} ${show(actual[key])}, not ${show(expected[key])}`);
  if (seen.saves === undefined || seen.saves <= fixture.saves) return words;
  return [...words, `saved ${seen.saves} times, not ${fixture.saves}`];
}

type Found = Omit<ExpectedRow, 'unknown'> & { readonly unknown: number | undefined };

function agrees(key: keyof ExpectedRow, expected: ExpectedRow, actual: Found): boolean {
  if (expected[key] === 'either') return true;
  if (key === 'unknown' && actual.unknown === undefined) return true;
  return expected[key] === actual[key];
}

function found(row: Message): Omit<ExpectedRow, 'unknown'> {
  const finish = member(member(row.metadata, 'lastchunk'), 'finishReason');
  return {
    text: row.text,
    events: row.events === null ? 'none' : 'kept',
    outcome: row.outcome,
    complete: row.complete,
    finish: typeof finish === 'string' ? finish : undefined,
  };
}

function show(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value);
}
