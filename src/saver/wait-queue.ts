/** People in a line, first come first served, each of whom may walk away: a wait that can be aborted. */

export interface WaitingLine<T> {
  readonly length: number;
  /** Waits until admitted, with what `admit` gave; `undefined` when the signal aborts first. */
  join(signal: AbortSignal): Promise<T | undefined>;
  /** Admits the first one; does nothing when nobody waits. */
  admit(give: () => T): void;
}

export function createWaitingLine<T>(): WaitingLine<T> {
  const waiting: ((value: T) => void)[] = [];
  return {
    get length() {
      return waiting.length;
    },
    join(signal) {
      if (signal.aborted) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        const leave = (): void => {
          waiting.splice(waiting.indexOf(enter), 1);
          resolve(undefined);
        };
        const enter = (value: T): void => {
          signal.removeEventListener('abort', leave);
          resolve(value);
        };
        waiting.push(enter);
        signal.addEventListener('abort', leave, { once: true });
      });
    },
    admit(give) {
      waiting.shift()?.(give());
    },
  };
}
