/**
 * The option `ahead`: bytes of a stream leave this process when the engine has them. While the engine is away they leave at once,
 * and their stream is counted; so no answer waits for an engine for longer than one exchange may take.
 */
import type { Clock } from '../core/clock.ts';
import type { Flusher } from './flusher.ts';

/** Bytes wait at most so long; from then on none wait until an exchange works. Engines have limits of their own, of about as much. */
const WAIT_MAX_MS = 2_000;

/** What is asked of the flusher. */
type Telling = Pick<Flusher, 'sync' | 'streamOf' | 'isAway'>;

/** What lets the bytes of all streams of an instance go. */
export class AheadGate {
  /** Streams of which bytes left before the engine had them, since the start. */
  unconfirmed = 0;
  readonly #flusher: Telling;
  readonly #clock: Clock;
  /** An exchange takes too long. */
  #isLate = false;

  constructor(flusher: Telling, clock: Clock) {
    this.#flusher = flusher;
    this.#clock = clock;
  }

  /** Bytes do not wait: the engine is away. */
  get isOpen(): boolean {
    return this.#isLate || this.#flusher.isAway;
  }

  /** An exchange was answered. */
  noteAnswer(): void {
    this.#isLate = false;
  }

  /** What is asked before bytes of a stream leave: `undefined` where they may go, else what resolves when they may. Never rejects. */
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

  /** Also of a stream that the engine was told all of. */
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
          // A lease that was lost is no engine that is away: the stream is told anew.
          if (!isAll && !this.isOpen) continue;
          if (!isAll) letGo();
          go();
        }
      };
      void ask();
    });
  }
}
