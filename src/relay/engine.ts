/** What engines share: an end as they store it (JSON), the check of positions, and the answer that refuses a batch. */
import { isIdentifier } from '../core/identifiers.ts';
import { toRecord } from '../core/values.ts';
import type { RelayAnswer, RelayEnd, RelayPosition, RelayTail } from './port.ts';

/**
 * The owner of a claimed stream is the lease name of the claimant with this suffix, which no lease name contains: so an engine tells
 * the claimed streams of an instance from its own ones.
 */
export const CLAIMED = '+';

/** The answer to a batch that was refused whole. */
export const NOT_HELD: RelayAnswer = {
  isHeld: false,
  lengths: new Map(),
  stops: [],
  followed: [],
  hasExpired: false,
};

/**
 * Implements `Relay.read`: calls `read` with the positions whose stream id is valid, and returns an item for each position, in order.
 * Rejects with a `RangeError` for an offset that is negative or not an integer.
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

/** An end as JSON for the engine; `parseEnd` parses it. */
export function endText(end: RelayEnd): string {
  return JSON.stringify(end);
}

/**
 * Parses a stored end; `null` for a value that is not a string. JSON that cannot be parsed becomes an irregular end, so that it affects
 * its own stream only.
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
    // Every field gets its default: an irregular end.
    return {};
  }
}
