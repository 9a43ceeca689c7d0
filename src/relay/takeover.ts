/**
 * Streams whose instance is gone: claimed, one instance at a time, and handed on to be saved. The engine gives each of them to one
 * claimant; it stays that claimant's until its message is in the store, or until its own lease is over.
 */
import { isUtf8 } from 'node:buffer';
import type { OpenedStream, Piece } from '../core/save-port.ts';
import type { Relay } from './port.ts';
import { parseHead } from './source.ts';

/** Bytes of a body that are asked for at once. */
const READ_BYTES = 1_048_576;

/** A stream that a dead instance left. */
export interface ClaimedStream {
  readonly opened: OpenedStream;
  /** JSON as the owner wrote it; `null` where it died before the stream ended. */
  readonly ending: string | null;
  /** Everything that the engine has of it. */
  body(): Promise<readonly Piece[]>;
  /** Its message is in the store, or will never be. */
  settle(): void;
}

/** What a takeover is made of. */
export interface TakeoverOptions {
  readonly engine: Relay;
  readonly retainMs: number;
  /** The name under which a lease is held. */
  readonly lease: () => string | undefined;
  readonly onClaimed: (stream: ClaimedStream) => void;
  readonly onError: (error: unknown) => void;
}

/** Claims what dead instances left. */
export class Takeover {
  readonly #options: TakeoverOptions;
  /** By the lease under which they were claimed. */
  readonly #settled = new Map<string, Set<string>>();
  #isClaiming = false;
  #isSettling = false;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  /** Claims until nothing is left. One call at a time works, others do nothing. Never rejects. */
  async claimAll(): Promise<void> {
    if (this.#isClaiming) return;
    this.#isClaiming = true;
    const { engine, retainMs, lease, onClaimed, onError } = this.#options;
    try {
      for (let isMore = true; isMore;) {
        const name = lease();
        if (name === undefined) return;
        const claims = await engine.claim(name, retainMs);
        for (const { streamId, head, ending } of claims) {
          const opened = parseHead(head)?.opened;
          if (opened === undefined) onError(new TypeError('a relayed stream has no head'));
          else onClaimed(this.#claimed(name, { ...opened, id: streamId }, ending));
        }
        isMore = claims.length > 0;
      }
    } catch (error) {
      onError(error);
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
      onError(error);
    } finally {
      this.#isSettling = false;
    }
  }

  #claimed(name: string, opened: OpenedStream, ending: string | null): ClaimedStream {
    const { engine } = this.#options;
    return {
      opened,
      ending,
      body: () => readRelayedBody(engine, opened.id),
      settle: () => {
        const ids = this.#settled.get(name) ?? new Set();
        this.#settled.set(name, ids.add(opened.id));
      },
    };
  }
}

/** The whole body of a stream, also what is held from readers: text where it is text, else bytes. */
export async function readRelayedBody(engine: Relay, streamId: string): Promise<readonly Piece[]> {
  const found: Uint8Array[] = [];
  let offset = 0;
  for (;;) {
    const position = { streamId, offset };
    const [tail] = await engine.read([position], { maxBytes: READ_BYTES, withHeld: true });
    if (tail === undefined || tail.body.length === 0) break;
    found.push(tail.body);
    offset += tail.body.length;
  }
  const body = Buffer.concat(found);
  if (body.length === 0) return [];
  return isUtf8(body) ? [body.toString('utf8')] : [body];
}
