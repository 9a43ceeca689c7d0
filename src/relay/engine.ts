/** What engines have in common: an end as they store it (JSON), positions that are none, and the refusal of a batch. */
import { isIdentifier } from '../core/identifiers.ts';
import { toRecord } from '../core/values.ts';
import type { RelayAnswer, RelayEnd, RelayPosition, RelayTail } from './port.ts';

/** The answer to a batch of which nothing was taken. */
export const NOT_HELD: RelayAnswer = {
  isHeld: false,
  lengths: new Map(),
  stops: [],
  followed: [],
  hasExpired: false,
};

/**
 * A reading of an engine: `read` is asked for the positions whose stream can be there, and answers each in order. Rejects with a
 * `RangeError` for an offset that is no whole number from 0 on.
 */
export async function readPositions(
  positions: readonly RelayPosition[],
  read: (known: readonly RelayPosition[]) => Promise<readonly (RelayTail | undefined)[]>,
): Promise<readonly (RelayTail | undefined)[]> {
  for (const { offset } of positions) {
    if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`no offset: ${offset}`);
  }
  const known = positions.filter(({ streamId }) => isIdentifier(streamId));
  if (known.length === 0) return positions.map(() => undefined);
  const tails = await read(known);
  const found = new Map(known.map((position, index) => [position, tails[index]]));
  return positions.map((position) => found.get(position));
}

/** What is stored of an end; `parseEnd` reads it. */
export function endText(end: RelayEnd): string {
  return JSON.stringify(end);
}

/**
 * How a response ended, as it is stored; `null` for what is no text. What cannot be read is an end that nobody may take for
 * regular, and costs its own stream alone.
 */
export function parseEnd(json: unknown): RelayEnd | null {
  if (typeof json !== 'string') return null;
  const end = recordIn(json);
  return {
    isTidy: end['isTidy'] === true,
    length: typeof end['length'] === 'number' ? end['length'] : Number.MAX_SAFE_INTEGER,
    outcome: typeof end['outcome'] === 'string' ? end['outcome'] : 'interrupted',
    save: typeof end['save'] === 'string' ? end['save'] : null,
  };
}

function recordIn(json: string): Readonly<Record<string, unknown>> {
  try {
    return toRecord(JSON.parse(json));
  } catch {
    // It is shown as an end with no facts.
    return {};
  }
}
