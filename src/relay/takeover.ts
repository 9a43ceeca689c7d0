/**
 * Streams of dead instances: claimed, one instance at a time, and passed to the saver. The engine gives each stream to one claimant,
 * which owns it until its message is in the store, or until the lease of the claimant expires.
 */
import { isUtf8 } from 'node:buffer';
import type { Clock } from '../core/clock.ts';
import type { OpenedStream, Piece } from '../core/save-port.ts';
import type { Relay, RelayClaim, RelayTask } from './port.ts';
import { parseHead } from './source.ts';

/** Bytes of a body in one read. */
const READ_BYTES = 1_048_576;
const PURGE_EVERY_MS = 60_000;

/** A stream of a dead instance. */
export interface ClaimedStream {
  readonly opened: OpenedStream;
  /** JSON as the owner wrote it; `null` where the owner died before the message was due. */
  readonly ending: string | null;
  /** Reads everything that the engine has of it; rejects with `BodyGoneError` where the engine does not have the stream any more. */
  readonly body: () => Promise<readonly Piece[]>;
  /** Its message is in the store, or will never be. */
  readonly settle: () => void;
}

/** Options of `Takeover`. */
export interface TakeoverOptions {
  readonly engine: Relay;
  readonly clock: Clock;
  readonly retainMs: number;
  /** The name under which this instance holds its lease; `undefined` while it holds none. */
  readonly lease: () => string | undefined;
  readonly onClaimed: (stream: ClaimedStream) => void;
  /** A stream whose head cannot be parsed: no message can be made of it, and it is given up. */
  readonly onUnreadable: (streamId: string) => void;
  readonly onError: (task: RelayTask, error: unknown) => void;
}

/** Claims the streams of dead instances, and deletes streams whose retention time is over. Runs beside the exchanges. */
export class Takeover {
  readonly #options: TakeoverOptions;
  /** Claimed streams that the engine does not have as settled yet, by the lease under which they were claimed. */
  readonly #claimed = new Map<string, Map<string, 'unsaved' | 'saved'>>();
  #isClaiming = false;
  /** The last claim failed: the engine may have assigned streams to this instance all the same. */
  #mayHaveMissed = false;
  #isSettling = false;
  #isPurging = false;
  #purgedMs: number;

  constructor(options: TakeoverOptions) {
    this.#options = options;
    this.#purgedMs = options.clock.monotonicMs();
  }

  /** After an exchange: repeats what failed, and deletes what is no longer retained. */
  continue(): void {
    void this.tellSettled();
    void this.#purge();
    if (this.#mayHaveMissed) void this.claimAll();
  }

  /**
   * Claims until nothing is left. A failed call may have been carried out, so the next one asks for its result too. A call while
   * another one runs does nothing. Never rejects.
   */
  async claimAll(): Promise<void> {
    if (this.#isClaiming) return;
    this.#isClaiming = true;
    const { engine, retainMs, lease, onError } = this.#options;
    try {
      for (let isMore = true; isMore;) {
        const name = lease();
        if (name === undefined) return;
        const claims = await engine.claim(name, retainMs, this.#mayHaveMissed);
        this.#mayHaveMissed = false;
        const taken = claims.filter((claim) => this.#take(name, claim));
        isMore = taken.length > 0;
      }
    } catch (error) {
      this.#mayHaveMissed = true;
      onError('claim', error);
    } finally {
      this.#isClaiming = false;
    }
  }

  /** Sends the ids of settled streams to the engine; after a failure the next call sends them again. Never rejects. */
  async tellSettled(): Promise<void> {
    if (this.#isSettling) return;
    this.#isSettling = true;
    const { engine, retainMs, onError } = this.#options;
    try {
      for (const [name, streams] of this.#claimed) {
        const saved = [...streams].flatMap(([id, phase]) => (phase === 'saved' ? id : []));
        if (saved.length === 0) continue;
        await engine.settled(name, saved, retainMs);
        for (const id of saved) streams.delete(id);
        if (streams.size === 0) this.#claimed.delete(name);
      }
    } catch (error) {
      onError('settle', error);
    } finally {
      this.#isSettling = false;
    }
  }

  /** Deletes streams whose retention time is over, once a minute. A call while another one runs does nothing. Never rejects. */
  async #purge(): Promise<void> {
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

  /** Passes on one stream; an error with it does not affect the others. False for a stream that it has already. */
  #take(name: string, { streamId, head, ending }: RelayClaim): boolean {
    const { engine, onClaimed, onUnreadable, onError } = this.#options;
    const streams = this.#claimed.get(name) ?? new Map<string, 'unsaved' | 'saved'>();
    if (streams.has(streamId)) return false;
    this.#claimed.set(name, streams.set(streamId, 'unsaved'));
    const settle = (): void => void streams.set(streamId, 'saved');
    const opened = parseHead(head)?.opened;
    if (opened === undefined) {
      // No instance can make a message of it, now or later.
      settle();
      onUnreadable(streamId);
      return true;
    }
    const body = (): Promise<readonly Piece[]> => readRelayedBody(engine, streamId);
    try {
      onClaimed({ opened: { ...opened, id: streamId }, ending, body, settle });
    } catch (error) {
      onError('adopt', error);
    }
    return true;
  }
}

/** The engine does not have the stream any more: it was lost in a crash, or an operator deleted it. */
export class BodyGoneError extends Error {
  override readonly name = 'BodyGoneError';
}

/**
 * Reads the whole body of a stream, also bytes that are held from readers, and after its retention time. The pieces, one for each
 * read, are text where the body is UTF-8, else bytes. Rejects with `BodyGoneError` where the engine does not have the stream.
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

/** Decodes each read as text at once, so that no body is in memory twice. Once bytes are not UTF-8, all pieces become bytes. */
class BodyReader {
  #pieces: Piece[] = [];
  /** The first bytes of a character whose rest is in the next read; `undefined` once the body is not text. */
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
    // Encoding the decoded text gives the same bytes again.
    this.#pieces = [...this.#pieces.map((piece) => Buffer.from(piece)), rest];
    this.#begun = undefined;
  }
}

/** Offset of an incomplete last character; the length where the last character is complete. */
function endOfText(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes.length;
    // The first byte of a character gives the number of its bytes (RFC 3629, section 3).
    if (byte >= 0xc0) {
      const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return size > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}
