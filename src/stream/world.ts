/**
 * The finishing world: a client has left, the answer is wanted all the same, and the handler must not notice, in
 * whichever way it asks. Its `res` and `req` answer as they did a moment before the client left, and the events that
 * would tell it wait. It lasts until the handler ends its response, or until somebody loses patience.
 *
 * Not hidden are the raw socket, and listeners that were there before the guard.
 */
import { cover } from './cover.ts';
import type { Exchange } from './exchange.ts';
import { createGates, type Gates } from './gates.ts';

/** Events of a response that tell its handler about the connection. `finish`: HTTP/2 emits it at a reset. */
const RES_EVENTS: ReadonlySet<string> = new Set(['close', 'finish']);

/** The same of a request. */
const REQ_EVENTS: ReadonlySet<string> = new Set(['close', 'aborted', 'error']);

/** Events that come once in a life, so that a listener called ahead of its time is not called again. */
const ONCE: ReadonlySet<string> = new Set(['close', 'finish', 'aborted']);

export interface World {
  /** The client has left: from now on the handler is not told. */
  enter(): void;
  /** The handler ended its response: `callback`, `finish`, then the events that waited, each once. */
  end(callback: (() => void) | undefined): void;
  /** Patience is over: the truth is restored, then the events that waited come. */
  leave(): void;
  /** The listeners of `'close'` are called now, and not again at the real close. */
  fireClose(): void;
}

/** Wraps the listener methods at once (a listener must be a gate from its start), and nothing else until `enter`. */
export function createWorld({ req, res, h2 }: Exchange): World {
  const resGates = createGates(res, RES_EVENTS, ONCE);
  const reqGates = createGates(req, REQ_EVENTS, ONCE);
  let covers: (() => void)[] = [];
  let entered = false;
  let ended = false;
  let finished = false;

  const coverResponse = (): void => {
    const { errored, writable } = res;
    const answers: Record<string, () => unknown> = {
      destroyed: () => false,
      closed: () => false,
      errored: () => errored ?? null,
      writable: () => writable,
      writableNeedDrain: () => false,
      writableLength: () => 0,
    };
    for (const [name, answer] of Object.entries(answers)) covers.push(cover(res, name, answer));
    // These stay: nobody will call Node's own end() on a response whose client is gone.
    cover(res, 'writableEnded', () => ended);
    cover(res, 'finished', () => ended);
    cover(res, 'writableFinished', () => finished);
  };

  const coverRequest = (): void => {
    for (const name of ['destroyed', 'closed', 'errored', 'aborted'] as const) {
      const before = req[name];
      covers.push(cover(req, name, () => before));
    }
  };

  const leave = (): void => {
    if (!entered) return;
    entered = false;
    for (const uncover of covers) uncover();
    covers = [];
    openAll(resGates, reqGates);
  };

  return {
    enter: () => {
      entered = true;
      resGates.shut();
      coverResponse();
      // A request whose body never came whole cannot be hidden: whoever reads it would wait for ever.
      if (req.complete || h2 !== undefined) {
        reqGates.shut();
        coverRequest();
      }
    },
    end: (callback) => {
      ended = true;
      process.nextTick(() => {
        finished = true;
        callback?.();
        resGates.fire('finish');
        leave();
      });
    },
    leave,
    fireClose: () => {
      resGates.fire('close');
      reqGates.fire('close');
    },
  };
}

function openAll(...all: Gates[]): void {
  for (const gates of all) gates.open();
}
