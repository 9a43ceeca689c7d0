/**
 * A relay in memory; the test controls its clock and its faults. Each `connect()` returns the connection of one instance; all connections
 * share one state, like clients of a database.
 */
import { CLAIMED, NOT_HELD, readPositions } from '../../src/relay/engine.ts';
import type {
  Relay,
  RelayAnswer,
  RelayBatch,
  RelayClaim,
  RelayEnd,
  RelayQuery,
  RelayReading,
  RelayRecord,
  RelayTail,
} from '../../src/relay/port.ts';

interface Kept {
  readonly streamId: string;
  instance: string;
  head: string;
  startedAtMs: number;
  conversationId: string | null;
  heldFrom: number | null;
  ending: string | null;
  end: RelayEnd | null;
  isSettled: boolean;
  isStopWanted: boolean;
  /** By the relay's clock; `undefined` while the stream has no end. */
  retainedUntilMs: number | undefined;
  readonly parts: Map<number, Uint8Array>;
}

interface Leased {
  untilMs: number;
  following: readonly string[];
}

/** The state that all connections share, and the functions by which a test changes it. */
export interface MemoryRelay {
  /** The connection of one instance; while `isCut` returns true, only the calls of this instance fail. */
  connect(isCut?: () => boolean): Relay;
  /** Advances the clock of the relay, which does not run by itself. */
  advance(ms: number): void;
  /** Lets the lease of this instance expire. */
  expire(instance: string): void;
  /** Loses the last part of a stream. */
  cut(streamId: string): void;
  /** From now on calls reject with this error; `undefined` ends that. */
  fail(error: unknown): void;
  /** From now on calls are carried out, but reject with this error. */
  failAfter(error: unknown): void;
  /** From now on calls wait. */
  hold(): void;
  /** Continues all waiting calls; later calls do not wait. */
  answer(): void;
  /** Number of calls that wait. */
  readonly waiting: number;
  readonly exchanges: readonly RelayBatch[];
  /** Number of calls of `read` so far. */
  readonly reads: number;
  /** Instances whose lease has not expired. */
  readonly instances: readonly string[];
  /** Every byte of a stream, including those that readers do not get. */
  bodyOf(streamId: string): string;
  ownerOf(streamId: string): string | undefined;
  isSettled(streamId: string): boolean;
}

/** Creates an empty relay without faults. */
export function createMemoryRelay(): MemoryRelay {
  const streams = new Map<string, Kept>();
  const leases = new Map<string, Leased>();
  const exchanges: RelayBatch[] = [];
  let nowMs = 0;
  let reads = 0;
  let failure: unknown;
  let lateFailure: unknown;
  let held: (() => void)[] | undefined;

  /** Carries out a call later, as over a network; rejects if a fault is set. */
  const answerLater = async <T>(work: () => T): Promise<T> => {
    const queue = held;
    await new Promise<void>((resolve) => {
      if (queue === undefined) setImmediate(resolve);
      else queue.push(resolve);
    });
    if (failure !== undefined) throw failure;
    const answer = work();
    if (lateFailure !== undefined) throw lateFailure;
    return answer;
  };

  const exchange = (batch: RelayBatch): RelayAnswer => {
    exchanges.push(batch);
    const { instance, registers, leaseMs, retainMs, following } = batch;
    if (!registers && !leases.has(instance)) return NOT_HELD;
    leases.set(instance, { untilMs: nowMs + leaseMs, following });
    for (const opening of batch.openings) {
      const known = streams.get(opening.streamId);
      const fresh = known ?? { ...NOTHING, ...opening, instance, parts: new Map() };
      streams.set(opening.streamId, fresh);
      Object.assign(fresh, { instance, head: opening.head, isSettled: false });
    }
    const own = (id: string): Kept | undefined => {
      const stream = streams.get(id);
      return stream?.instance === instance ? stream : undefined;
    };
    for (const { streamId, conversationId, heldFrom, ending, end } of batch.states) {
      const stream = own(streamId);
      if (stream === undefined) continue;
      Object.assign(stream, { conversationId, heldFrom, ending, end });
      stream.retainedUntilMs = end === null ? undefined : nowMs + retainMs;
    }
    for (const { streamId, at, body } of batch.parts) {
      const parts = own(streamId)?.parts;
      if (body.length > (parts?.get(at)?.length ?? 0)) parts?.set(at, Uint8Array.from(body));
    }
    for (const id of batch.settled) {
      const stream = own(id);
      if (stream !== undefined) stream.isSettled = true;
    }
    const others = [...leases].filter(([id]) => id !== instance);
    const mine = [...streams.values()].filter((one) => one.instance === instance && !one.end);
    return {
      isHeld: true,
      lengths: new Map(
        batch.openings.map(({ streamId }) => [streamId, lengthOf(streams.get(streamId))]),
      ),
      stops: mine.filter(({ isStopWanted }) => isStopWanted).map(({ streamId }) => streamId),
      followed: others
        .filter(([, { untilMs }]) => untilMs > nowMs)
        .flatMap(([, lease]) => lease.following),
      hasExpired: others.some(([, { untilMs }]) => untilMs <= nowMs),
    };
  };

  const breakOff = (stream: Kept, retainMs: number): void => {
    stream.end ??= { isTidy: false, length: lengthOf(stream), outcome: 'interrupted', save: null };
    stream.heldFrom = null;
    stream.isSettled = true;
    stream.retainedUntilMs ??= nowMs + retainMs;
  };

  const claim = (instance: string, retainMs: number, repeats = false): readonly RelayClaim[] => {
    if ((leases.get(instance)?.untilMs ?? 0) <= nowMs) return [];
    const claimed: RelayClaim[] = [];
    const tell = ({ streamId, head, ending }: Kept): void =>
      void claimed.push({ streamId, head, ending });
    for (const stream of repeats ? streams.values() : []) {
      if (stream.instance === instance + CLAIMED && !stream.isSettled) tell(stream);
    }
    const [dead] =
      [...leases].find(([id, { untilMs }]) => id !== instance && untilMs <= nowMs) ?? [];
    if (dead === undefined) return claimed;
    leases.delete(dead);
    for (const stream of streams.values()) {
      if (stream.instance !== dead && stream.instance !== dead + CLAIMED) continue;
      stream.instance = instance + CLAIMED;
      if (stream.isSettled) breakOff(stream, retainMs);
      else tell(stream);
    }
    return claimed;
  };

  const find = (query: RelayQuery): RelayRecord | undefined => {
    const stream =
      'streamId' in query
        ? streams.get(query.streamId)
        : [...streams.values()]
            .filter((one) => one.conversationId === query.conversationId && one.end === null)
            .toSorted((a, b) => b.startedAtMs - a.startedAtMs)[0];
    if (stream === undefined || isOver(stream)) return undefined;
    const { streamId, conversationId, head, end } = stream;
    return { streamId, conversationId, head, end };
  };

  const isOver = ({ retainedUntilMs = Number.POSITIVE_INFINITY }: Kept): boolean =>
    retainedUntilMs <= nowMs;

  const tailOf = (
    stream: Kept | undefined,
    offset: number,
    { maxBytes, withHeld }: RelayReading,
  ): RelayTail | undefined => {
    if (stream === undefined || (isOver(stream) && !withHeld)) return undefined;
    const whole = contiguous(stream);
    const readable = withHeld ? whole.length : Math.min(whole.length, stream.heldFrom ?? Infinity);
    return { body: whole.subarray(offset, Math.min(readable, offset + maxBytes)), end: stream.end };
  };

  const connect = (isCut: () => boolean = () => false): Relay => {
    const later = <T>(work: () => T): Promise<T> =>
      answerLater(() => {
        if (isCut()) throw new Error('the relay cannot be reached');
        return work();
      });
    return {
      exchange: (batch) => later(() => exchange(batch)),
      find: (query) => later(() => find(query)),
      read: (positions, reading) => {
        reads += 1;
        return readPositions(positions, (known) =>
          later(() =>
            known.map(({ streamId, offset }) => tailOf(streams.get(streamId), offset, reading)),
          ),
        );
      },
      command: (streamId) =>
        later(() => {
          const stream = streams.get(streamId);
          if (stream === undefined || stream.end !== null) return false;
          stream.isStopWanted = true;
          return true;
        }),
      claim: (instance, retainMs, repeats) => later(() => claim(instance, retainMs, repeats)),
      settled: (instance, ids, retainMs) =>
        later(() => {
          for (const id of ids) {
            const stream = streams.get(id);
            if (stream?.instance === instance + CLAIMED) breakOff(stream, retainMs);
          }
        }),
      purge: (conversationId) =>
        later(() => {
          const gone = [...streams.values()].filter((one) =>
            conversationId === undefined
              ? one.isSettled && isOver(one)
              : one.conversationId === conversationId,
          );
          for (const { streamId } of gone) streams.delete(streamId);
          return gone.length;
        }),
      close: () => Promise.resolve(),
    };
  };
  return {
    connect,
    advance: (ms) => {
      nowMs += ms;
    },
    expire: (instance) => {
      const lease = leases.get(instance);
      if (lease !== undefined) lease.untilMs = nowMs;
    },
    cut: (streamId) => {
      const parts = streams.get(streamId)?.parts;
      parts?.delete(Math.max(...parts.keys()));
    },
    fail: (error) => {
      failure = error;
    },
    failAfter: (error) => {
      lateFailure = error;
    },
    hold: () => {
      held ??= [];
    },
    answer: () => {
      const all = held ?? [];
      held = undefined;
      for (const go of all) go();
    },
    exchanges,
    get waiting() {
      return held?.length ?? 0;
    },
    get reads() {
      return reads;
    },
    get instances() {
      return [...leases].filter(([, { untilMs }]) => untilMs > nowMs).map(([id]) => id);
    },
    bodyOf: (streamId) => Buffer.from(contiguous(streams.get(streamId))).toString(),
    ownerOf: (streamId) => streams.get(streamId)?.instance,
    isSettled: (streamId) => streams.get(streamId)?.isSettled === true,
  };
}

const NOTHING = {
  conversationId: null,
  heldFrom: null,
  ending: null,
  end: null,
  isSettled: false,
  isStopWanted: false,
  retainedUntilMs: undefined,
};

/** The bytes from 0 to the first gap. */
function contiguous(stream: Kept | undefined): Uint8Array {
  const bytes: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const next = stream?.parts.get(length);
    if (next === undefined) return Buffer.concat(bytes);
    bytes.push(next);
    length += next.length;
  }
}

function lengthOf(stream: Kept | undefined): number {
  return contiguous(stream).length;
}
