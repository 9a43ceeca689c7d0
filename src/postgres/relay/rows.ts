/** Converts between the relay's types and SQL: a batch to parameters, and result rows to bodies and ends. */
import { conversationKey } from '../../core/identifiers.ts';
import { endText, parseEnd } from '../../relay/engine.ts';
import type {
  RelayBatch,
  RelayPosition,
  RelayReading,
  RelayState,
  RelayTail,
} from '../../relay/port.ts';

type Values = readonly unknown[];

interface PartRow {
  readonly at: number;
  readonly body: Uint8Array;
}

type Rows = readonly Record<string, unknown>[];

/** Returns an item for each position, in order; `undefined` for a position without a row. */
export function assembleTails(
  positions: readonly RelayPosition[],
  { maxBytes, withHeld }: RelayReading,
  rows: Rows,
): readonly (RelayTail | undefined)[] {
  const byPosition = new Map<number, Rows[number][]>();
  for (const row of rows) {
    const n = Number(row['n']);
    const found = byPosition.get(n);
    if (found === undefined) byPosition.set(n, [row]);
    else found.push(row);
  }
  return positions.map(({ offset }, index) => {
    // WITH ORDINALITY counts from 1.
    const own = byPosition.get(index + 1);
    if (own === undefined) return undefined;
    const heldFrom = own[0]?.['held_from'];
    const readable = withHeld || typeof heldFrom !== 'number' ? Infinity : heldFrom;
    const body = joinParts(own.flatMap(partOf), offset, Math.min(offset + maxBytes, readable));
    return { body, end: parseEnd(own[0]?.['response_end']) };
  });
}

/** The part in a row; none in the single row of a stream without parts. */
function partOf({ at, body }: Rows[number]): PartRow[] {
  return typeof at === 'number' && body instanceof Uint8Array ? [{ at, body }] : [];
}

/** The bytes from the offset `from` to before `to`; they end early at the first gap between parts. */
function joinParts(parts: readonly PartRow[], from: number, to: number): Uint8Array {
  const found: Uint8Array[] = [];
  let position = from;
  for (const { at, body } of parts) {
    if (at > position || position >= to) break;
    const piece = body.subarray(position - at, Math.max(position, to) - at);
    position += piece.length;
    found.push(piece);
  }
  return Buffer.concat(found);
}

/** The parameters of the exchange statement: an array for each column of the openings, changes and parts. */
export function exchangeValues(batch: RelayBatch): Values {
  const states = new Map(batch.states.map((state) => [state.streamId, state]));
  const settled = new Set(batch.settled);
  const opened = new Set(batch.openings.map(({ streamId }) => streamId));
  const changes = batch.states.filter(({ streamId }) => !opened.has(streamId));
  const { openings, parts } = batch;
  // One statement cannot update a row twice: a settled stream with a state is settled in that update.
  const alone = batch.settled.filter((id) => !states.has(id));
  return [
    batch.instance,
    batch.registers,
    batch.leaseMs,
    batch.retainMs,
    batch.following,
    openings.map(({ streamId }) => streamId),
    openings.map(({ head }) => head),
    openings.map(({ startedAtMs }) => startedAtMs),
    ...stateColumns(
      openings.map(({ streamId }) => states.get(streamId) ?? { ...NEW, streamId }),
      settled,
    ),
    changes.map(({ streamId }) => streamId),
    ...stateColumns(changes, settled),
    alone,
    parts.map(({ streamId }) => streamId),
    parts.map(({ at }) => at),
    parts.map(({ body }) => body.length),
    Buffer.concat(parts.map(({ body }) => body)),
  ];
}

const NEW = { conversationId: null, heldFrom: null, ending: null, end: null };

function stateColumns(states: readonly RelayState[], settled: ReadonlySet<string>): Values {
  return [
    states.map(({ conversationId }) => conversationId && conversationKey(conversationId)),
    states.map(({ heldFrom }) => heldFrom),
    states.map(({ ending }) => ending),
    states.map(({ end }) => end && endText(end)),
    states.map(({ streamId }) => settled.has(streamId)),
  ];
}

/**
 * The length of each opened stream after the batch: the bytes that were there before, and the parts of the batch that follow without a gap.
 */
export function lengthsAfter(
  { openings, parts }: RelayBatch,
  before: readonly number[],
): ReadonlyMap<string, number> {
  const lengths = new Map(openings.map(({ streamId }, index) => [streamId, before[index] ?? 0]));
  for (const { streamId, at, body } of parts) {
    const length = lengths.get(streamId);
    if (length !== undefined && at <= length) {
      lengths.set(streamId, Math.max(length, at + body.length));
    }
  }
  return lengths;
}

/** A `text[]`. */
export function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** A `float8[]`. */
export function numbers(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}
