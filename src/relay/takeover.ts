/**
 * Streams whose instance is gone: claimed, one instance at a time, and handed on to be saved. The engine gives each of them to one
 * claimant; it stays that claimant's until its message is in the store, or until its own lease is over.
 */
import { isUtf8 } from 'node:buffer';
import type { Clock } from '../core/clock.ts';
import type { OpenedStream, Piece } from '../core/save-port.ts';
import type { Relay, RelayClaim, RelayTask } from './port.ts';
import { parseHead } from './source.ts';

/** Bytes of a body that are asked for at once. */
const READ_BYTES = 1_048_576;
const PURGE_EVERY_MS = 60_000;

/** A stream that a dead instance left. */
export interface ClaimedStream {
  readonly opened: OpenedStream;
  /** JSON as the owner wrote it; `null` where it died before the stream ended. */
  readonly ending: string | null;
  /** Everything that the engine has of it; rejects with `BodyGoneError` where it is not known any more. */
  readonly body: () => Promise<readonly Piece[]>;
  /** Its message is in the store, or will never be. */
  readonly settle: () => void;
}

/** What a takeover is made of. */
export interface TakeoverOptions {
  readonly engine: Relay;
  readonly clock: Clock;
  readonly retainMs: number;
  /** The name under which a lease is held. */
  readonly lease: () => string | undefined;
  readonly onClaimed: (stream: ClaimedStream) => void;
  /** A stream whose head says nothing that a message could be made of: it is given up. */
  readonly onUnreadable: (streamId: string) => void;
  readonly onError: (task: RelayTask, error: unknown) => void;
}

/** What an instance does for all of them, beside its exchanges: it claims what dead ones left, and deletes what is retained no longer. */
export class Takeover {
  readonly #options: TakeoverOptions;
  /** By the lease under which they were claimed. */
  readonly #settled = new Map<string, Set<string>>();
  #isClaiming = false;
  #isSettling = false;
  #isPurging = false;
  #purgedMs: number;

  constructor(options: TakeoverOptions) {
    this.#options = options;
    this.#purgedMs = options.clock.monotonicMs();
  }

  /** Claims until nothing is left. One call at a time works, others do nothing. Never rejects. */
  async claimAll(): Promise<void> {
    if (this.#isClaiming) return;
    this.#isClaiming = true;
    const { engine, retainMs, lease, onError } = this.#options;
    try {
      for (let isMore = true; isMore;) {
        const name = lease();
        if (name === undefined) return;
        const claims = await engine.claim(name, retainMs);
        for (const claim of claims) this.#take(name, claim);
        isMore = claims.length > 0;
      }
    } catch (error) {
      onError('claim', error);
    } finally {
      this.#isClaiming = false;
    }
  }

  /** Tells the engine what has been settled since; what it does not take is told the next time. Never rejects. */
  async tellSettled(): Promise<void> {
    if (this.#isSettling) return;
    this.#isSettling = true;
    const { engine, retainMs, onError } = this.#options;
    try {
      for (const [name, ids] of this.#settled) {
        const told = [...ids];
        await engine.settled(name, told, retainMs);
        for (const id of told) ids.delete(id);
        if (ids.size === 0) this.#settled.delete(name);
      }
    } catch (error) {
      onError('settle', error);
    } finally {
      this.#isSettling = false;
    }
  }

  /** Deletes what is retained no longer, once a minute; one call at a time works. Never rejects. */
  async purge(): Promise<void> {
    const { engine, clock, onError } = this.#options;
    if (this.#isPurging || clock.monotonicMs() - this.#purgedMs < PURGE_EVERY_MS) return;
    this.#isPurging = true;
    try {
      await engine.purge();
    } catch (error) {
      onError('purge', error);
    } finally {
      this.#isPurging = false;
      this.#purgedMs = clock.monotonicMs();
    }
  }

  /** Hands on one stream; what is wrong with it costs the others nothing. */
  #take(name: string, { streamId, head, ending }: RelayClaim): void {
    const { engine, onClaimed, onUnreadable, onError } = this.#options;
    const settle = (): void => {
      const ids = this.#settled.get(name) ?? new Set();
      this.#settled.set(name, ids.add(streamId));
    };
    const opened = parseHead(head)?.opened;
    if (opened === undefined) {
      // Nothing can be made of it, now or by anybody else.
      settle();
      return onUnreadable(streamId);
    }
    const body = (): Promise<readonly Piece[]> => readRelayedBody(engine, streamId);
    try {
      onClaimed({ opened: { ...opened, id: streamId }, ending, body, settle });
    } catch (error) {
      onError('adopt', error);
    }
  }
}

/** The engine does not know the stream any more: a crash or an operator has taken it. */
export class BodyGoneError extends Error {
  override readonly name = 'BodyGoneError';
}

/**
 * The whole body of a stream, also what is held from readers, or retained for them no longer: text where it is text, else bytes, a
 * piece for each reading. Rejects with `BodyGoneError` where the engine does not know it.
 */
export async function readRelayedBody(engine: Relay, streamId: string): Promise<readonly Piece[]> {
  const body = new BodyReader();
  for (let offset = 0; ;) {
    const position = { streamId, offset };
    const [tail] = await engine.read([position], { maxBytes: READ_BYTES, withHeld: true });
    if (tail === undefined) throw new BodyGoneError('the relay does not know the stream any more');
    if (tail.body.length === 0) return body.end();
    body.add(tail.body);
    offset += tail.body.length;
  }
}

/** Makes text of readings as they come, so that no body is in memory twice; bytes again from the first that are no text. */
class BodyReader {
  #pieces: Piece[] = [];
  /** The beginning of a character whose rest is in the next reading; `undefined` once it is no text. */
  #begun: Uint8Array | undefined = new Uint8Array();

  add(body: Uint8Array): void {
    if (this.#begun === undefined) return void this.#pieces.push(body);
    const bytes = Buffer.concat([this.#begun, body]);
    const whole = bytes.subarray(0, endOfText(bytes));
    if (!isUtf8(whole)) return this.#becomeBytes(bytes);
    if (whole.length > 0) this.#pieces.push(whole.toString('utf8'));
    this.#begun = bytes.subarray(whole.length);
  }

  end(): readonly Piece[] {
    if (this.#begun !== undefined && this.#begun.length > 0) this.#becomeBytes(this.#begun);
    return this.#pieces;
  }

  #becomeBytes(rest: Uint8Array): void {
    // What was text is the very same bytes again.
    this.#pieces = [...this.#pieces.map((piece) => Buffer.from(piece)), rest];
    this.#begun = undefined;
  }
}

/** Where the last character begins that is not all there; the length where there is none. */
function endOfText(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes.length;
    // A byte that begins a character says how many follow it (RFC 3629, section 3).
    if (byte >= 0xc0) {
      const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return size > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}
