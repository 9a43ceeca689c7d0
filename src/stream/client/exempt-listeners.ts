/**
 * Those who listen to a request or a response and are told the truth whatever happens: they were there before the
 * guard, or they have heard already what could be held back.
 */
import type { Exchange } from '../response/exchange.ts';
import { type Listener, listening, type Listening, NOBODY } from './deferred-listeners.ts';

/** Events of a response that tell its handler about the connection. `finish`: HTTP/2 emits it at a reset. */
export const RES_EVENTS: ReadonlySet<string> = new Set(['close', 'finish']);

/** The same of a request. */
export const REQ_EVENTS: ReadonlySet<string> = new Set(['close', 'aborted', 'error']);

/** The one that both have. */
const CLOSE = ['close'];

export interface Bystanders {
  readonly res: Listening;
  readonly req: Listening;
  /** Our own, which listens to the `'close'` of both. */
  readonly own: Listener;
}

/** Until somebody has looked. */
export const NO_BYSTANDERS: Bystanders = { res: NOBODY, req: NOBODY, own: () => {} };

/** Who listens now; `own` is about to. */
export function findBystanders({ req, res }: Exchange, own: Listener): Bystanders {
  return { res: listening(res, RES_EVENTS), req: listening(req, REQ_EVENTS), own };
}

/** With those who hear the `'close'` of `emitter` now: nobody need tell them again. */
export function withHearers(
  before: Bystanders,
  { req, res, h2 }: Exchange,
  emitter: unknown,
): Bystanders {
  if (emitter === req) return { ...before, req: [...before.req, ...listening(req, CLOSE)] };
  if (emitter !== res) return before;
  // HTTP/2 has told `finish` just before.
  const told = h2 === undefined ? CLOSE : RES_EVENTS;
  return { ...before, res: [...before.res, ...listening(res, told)] };
}
