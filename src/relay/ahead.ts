/**
 * The option `ahead`: bytes of a stream are sent to the client once the engine has them. While the engine is unavailable they are sent
 * at once, and their stream is counted. So a response waits for an unavailable engine for `WAIT_MAX_MS` at most.
 */
import type { Clock } from '../core/clock.ts';
import type { Flusher } from './flusher.ts';

/** The longest wait for the engine; after it no bytes wait until an exchange succeeds. Engines have similar time limits of their own. */
const WAIT_MAX_MS = 2_000;

/** The part of the flusher that is used. */
type Telling = Pick<Flusher, 'sync' | 'streamOf' | 'isAway'>;

/** Decides when bytes of the streams of an instance may be sent. */
export class AheadGate {
  /** Streams of which bytes were sent before the engine had them, since the start. */
  unconfirmed = 0;
  readonly #flusher: Telling;
  readonly #clock: Clock;
  /** A wait took longer than `WAIT_MAX_MS`, and no exchange has succeeded since. */
  #isLate = false;

  constructor(flusher: Telling, clock: Clock) {
    this.#flusher = flusher;
    this.#clock = clock;
  }

  /** Bytes do not wait, because the engine is unavailable or slow. */
  get isOpen(): boolean {
    return this.#isLate || this.#flusher.isAway;
  }

  /** An exchange succeeded. */
  noteAnswer(): void {
    this.#isLate = false;
  }

  /** A function to call before bytes are sent: `undefined` where they may be sent now, else what resolves when they may; never rejects. */
  of(streamId: string): () => Promise<void> | undefined {
    let isCounted = false;
    const letGo = (): void => {
      if (!isCounted) this.unconfirmed += 1;
      isCounted = true;
    };
    return () => {
      if (this.#hasEveryByte(streamId)) return undefined;
      if (!this.isOpen) return this.#wait(streamId, letGo);
      letGo();
      return undefined;
    };
  }

  /** True also for a stream that is not in the set any more, because the engine has all of it. */
  #hasEveryByte(streamId: string): boolean {
    return this.#flusher.streamOf(streamId)?.hasEveryByte !== false;
  }

  #wait(streamId: string, letGo: () => void): Promise<void> {
    return new Promise((resolve) => {
      let isOver = false;
      const go = (): void => {
        isOver = true;
        cancel();
        resolve();
      };
      const cancel = this.#clock.after(WAIT_MAX_MS, () => {
        this.#isLate = true;
        letGo();
        go();
      });
      const ask = async (): Promise<void> => {
        while (!isOver) {
          const isThere = await this.#flusher.sync(streamId);
          if (isOver) return;
          const isAll = isThere || this.#hasEveryByte(streamId);
          // After a lost lease the engine is available: the stream is sent again, so wait for that.
          if (!isAll && !this.isOpen) continue;
          if (!isAll) letGo();
          go();
        }
      };
      void ask();
    });
  }
}
