/**
 * The phases of a stream with the properties of each, and the events that may move a stream into another phase. What each event
 * does in each phase is in `transition-table.ts`.
 */

/** The phases. */
export type PhaseName =
  /** Nothing is known of the response yet. */
  | 'undecided'
  /** The same; its client has left, the handler goes on and cannot see that. */
  | 'undecided-detached'
  /** The same; its client has left, and what the handler writes is discarded. */
  | 'undecided-gone'
  /** It is a stream, and its handler writes. A terminal frame may be held. */
  | 'open'
  /** The handler called `end()`, and its last bytes are held. */
  | 'ending'
  /** The handler called `end()`, and nothing is held: Node sends the rest. */
  | 'ended'
  /** The handler was asked to stop and has a grace period to end by itself; the outcome is fixed, the message not yet due. */
  | 'grace'
  /** The same; its client has left meanwhile. */
  | 'grace-gone'
  /** Its client has left, and that is the outcome; the handler goes on, and its message is due when it ends. */
  | 'detached'
  /** Its client has left, its message was handed over before, and the handler goes on. */
  | 'detached-settled'
  /** Its message is being saved; then its response is closed. */
  | 'closing'
  /** We closed its response; the `'close'` event has not come yet. */
  | 'closed'
  /** Its response is over; its message may still be being saved. */
  | 'over'
  /** The same, and what a guarded handler still writes is discarded. */
  | 'over-gone'
  /** The response is not a stream: its calls are passed to Node. */
  | 'other'
  /** The same; its client has left, the handler goes on and cannot see that. */
  | 'other-detached'
  /** The same; its client has left, and what a guarded handler writes is discarded. */
  | 'other-gone';

/** The properties of one phase. There is one frozen object per phase, so that a stream needs only one field for all of them. */
export interface Phase {
  readonly name: PhaseName;
  /** Whether the response is a stream: not decided yet, yes, or no. */
  readonly kind: 'undecided' | 'stream' | 'other';
  /** Nothing that the handler writes can reach the client any more. */
  readonly clientGone: boolean;
  /** The client left, the handler goes on and cannot see that. */
  readonly isDetached: boolean;
  /** The outcome is fixed, and what the handler still writes belongs to the message. */
  readonly isUnsettled: boolean;
  /** A terminal fact counts here. */
  readonly isConcludable: boolean;
  /** The response is closed by us, or is about to be. */
  readonly isClosing: boolean;
  readonly isOver: boolean;
  /** It is a stream whose response is not over. */
  readonly isLive: boolean;
  /** What the handler writes is discarded: neither sent nor kept. */
  readonly discardsWrites: boolean;
}

type Told = Partial<Omit<Phase, 'name' | 'kind' | 'isLive' | 'discardsWrites'>>;

function phase(name: PhaseName, kind: Phase['kind'], told: Told = {}): Phase {
  const { clientGone = false, isDetached = false, isClosing = false, isOver = false } = told;
  return Object.freeze({
    name,
    kind,
    clientGone,
    isDetached,
    isUnsettled: told.isUnsettled ?? false,
    isConcludable: told.isConcludable ?? false,
    isClosing,
    isOver,
    isLive: kind === 'stream' && !isOver,
    discardsWrites: isClosing || (clientGone && !isDetached),
  });
}

const GONE: Told = { clientGone: true };
const DETACHED: Told = { clientGone: true, isDetached: true };
const CONCLUDABLE: Told = { isConcludable: true };

/** Every phase with its properties. */
export const PHASES: Readonly<Record<PhaseName, Phase>> = {
  undecided: phase('undecided', 'undecided'),
  'undecided-detached': phase('undecided-detached', 'undecided', DETACHED),
  'undecided-gone': phase('undecided-gone', 'undecided', GONE),
  open: phase('open', 'stream', CONCLUDABLE),
  ending: phase('ending', 'stream', CONCLUDABLE),
  ended: phase('ended', 'stream', CONCLUDABLE),
  grace: phase('grace', 'stream', { isUnsettled: true }),
  'grace-gone': phase('grace-gone', 'stream', { ...GONE, isUnsettled: true }),
  detached: phase('detached', 'stream', { ...DETACHED, isUnsettled: true }),
  'detached-settled': phase('detached-settled', 'stream', DETACHED),
  closing: phase('closing', 'stream', { isClosing: true }),
  closed: phase('closed', 'stream', { ...GONE, isClosing: true }),
  over: phase('over', 'stream', { isOver: true }),
  'over-gone': phase('over-gone', 'stream', { ...GONE, isOver: true }),
  other: phase('other', 'other'),
  'other-detached': phase('other-detached', 'other', DETACHED),
  'other-gone': phase('other-gone', 'other', GONE),
};

/** What can happen to a stream. */
export type StreamEvent =
  /** The response turned out to be a stream, before its first byte. */
  | 'began'
  /** The response turned out not to be a stream. */
  | 'no-stream'
  /** The handler called `end()`; in its grace period, only after a stop or if it has written something since. */
  | 'ended'
  /** Nothing is held any more. */
  | 'released'
  /** The handler threw, rejected or called `next(error)`. */
  | 'failed'
  /** The handler called `res.destroy()`. */
  | 'destroyed'
  /** The response closed after its end, or after we closed it. */
  | 'finished'
  /** This process closed the connection. */
  | 'cut'
  /** The client left, and the handler can see that. */
  | 'client-left'
  /** The client left, that is the outcome, and the handler goes on. */
  | 'client-left-detached'
  /** The same, but an earlier outcome stays fixed. */
  | 'client-left-settled'
  /** A stop, or no data came for too long; in `open` only if that was fixed as the outcome. */
  | 'stopped'
  /** The finish marker came after the handler was told to stop. */
  | 'marker'
  /** The handler's grace period is over, or it ended in it and wrote nothing. */
  | 'grace-over'
  /** The stream may not outlive its client any longer. */
  | 'patience-over'
  /** The process is shutting down. */
  | 'interrupted'
  /** Its message is safe, and its response is to be closed. */
  | 'close-due';
