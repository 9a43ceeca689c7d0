/**
 * What each event does in each phase of a stream: the next phase, and the effects, which `effects.ts` carries out. Outcomes, reasons
 * and policies decide before which event is raised; from there on the table alone decides the next phase.
 */
import type { PhaseName, StreamEvent } from './phases.ts';

/** What a transition does besides changing the phase. */
export type Effect =
  /** It is a stream: its body, its summary and its clocks begin. */
  | 'begin'
  | 'stop-clocks'
  | 'unlist'
  | 'unregister'
  /** The response hides from its handler that the client left; `reattach` ends that. */
  | 'detach'
  | 'announce-detached'
  | 'answer-end'
  | 'cut-short'
  | 'reattach'
  /** The outcome is fixed; the message is handed over. */
  | 'conclude-end'
  | 'conclude-failure'
  | 'fix-left'
  | 'settle'
  | 'settle-if-fixed'
  | 'settle-as-told'
  | 'settle-what-grew'
  | 'settle-and-hold'
  /** The response is closed once the message is safe. */
  | 'settle-and-close'
  | 'interrupt'
  | 'close-when-released'
  | 'close'
  /** The noise filter, the observers or the handler receive what happened. */
  | 'record-departure'
  | 'tell-disconnect'
  | 'tell-refused'
  | 'abort'
  | 'call-close-listeners'
  /** Bytes that wait are dropped or sent; a handler that waits for `drain` gets it. */
  | 'drop-held'
  | 'send-turn'
  | 'emit-drain'
  /** A stop before the stream has begun; the grace period of a handler after a stop. */
  | 'remember-stop'
  | 'start-grace'
  | 'start-marker-grace'
  | 'start-detached-grace'
  /** The response is over. */
  | 'finish';

/** Where an event leads. */
export interface Transition {
  readonly to: PhaseName;
  /** Carried out in this order, after the phase has changed. */
  readonly effects: readonly Effect[];
}

/** `ignored`: may happen, and changes nothing. `impossible`: the caller excludes it, so it is a bug in lastchunk. */
export type Answer = Transition | 'ignored' | 'impossible';

type Row = Readonly<Record<StreamEvent, Answer>>;

/** Events that are impossible unless a row says otherwise. */
const UNRAISED = {
  began: 'impossible',
  destroyed: 'impossible',
  finished: 'impossible',
  cut: 'impossible',
  'client-left': 'impossible',
  'client-left-detached': 'impossible',
  'client-left-settled': 'impossible',
  marker: 'impossible',
  'close-due': 'impossible',
} as const;

/** Events that may happen at any time: calls of the handler, a stop, timers, promises. */
const UNASKED = {
  'no-stream': 'ignored',
  ended: 'ignored',
  released: 'ignored',
  failed: 'ignored',
  stopped: 'ignored',
  'grace-over': 'ignored',
  'patience-over': 'ignored',
  interrupted: 'ignored',
} as const;

const REST: Row = { ...UNRAISED, ...UNASKED };

function to(name: PhaseName, ...effects: Effect[]): Transition {
  return { to: name, effects };
}

const LEFT = ['record-departure', 'drop-held', 'emit-drain'] as const;
const TOLD = [...LEFT, 'tell-disconnect', 'tell-refused', 'abort'] as const;
const GOES_ON = [...LEFT, 'tell-disconnect', 'detach'] as const;
const CUT = ['drop-held', 'abort'] as const;
const STOP_DETACHED = [
  'cut-short',
  'abort',
  'start-detached-grace',
  'call-close-listeners',
] as const;

const CLIENT_LEFT_FOR_GOOD = to('over-gone', ...TOLD, 'settle-if-fixed', 'finish');
const CUT_OFF = to('over', ...CUT, 'settle-as-told', 'finish');
const CLOSE_AFTER_GRACE = to('closing', 'settle-and-close');
const SETTLED_AT_LAST = to('over-gone', 'settle', 'finish');
const DETACHED_OVER = to('over-gone', 'cut-short', 'reattach', 'abort', 'settle', 'finish');
const SETTLED_OVER = to(
  'over-gone',
  'cut-short',
  'reattach',
  'abort',
  'settle-what-grew',
  'finish',
);
const UNDECIDED_OVER = to('undecided-gone', 'cut-short', 'reattach', 'abort', 'unlist');
const OTHER_OVER = to('over-gone', 'cut-short', 'reattach', 'abort', 'finish');
const ENDED_WITHOUT_CLIENT = to('over-gone', 'answer-end', 'finish');

/** The handler has ended, then the client leaves; under `finish` the handler gets the events of its end as if the client were there. */
const LEFT_AFTER_END = {
  'client-left': CLIENT_LEFT_FOR_GOOD,
  'client-left-detached': to('over-gone', ...GOES_ON, 'answer-end', 'settle', 'finish'),
  'client-left-settled': to('over-gone', ...GOES_ON, 'answer-end', 'settle-what-grew', 'finish'),
} as const;

/** The table. */
const TRANSITIONS: Readonly<Record<PhaseName, Row>> = {
  undecided: {
    ...REST,
    began: to('open', 'begin'),
    'no-stream': to('other', 'stop-clocks', 'unregister'),
    stopped: to('undecided', 'remember-stop', 'record-departure', 'abort', 'call-close-listeners'),
    cut: to('over', ...CUT, 'finish'),
    'client-left': to('undecided-gone', ...TOLD, 'unlist'),
    'client-left-detached': to('undecided-detached', ...GOES_ON),
  },
  'undecided-detached': {
    ...REST,
    began: to('detached', 'begin', 'fix-left', 'announce-detached'),
    'no-stream': to('other-detached', 'stop-clocks'),
    ended: ENDED_WITHOUT_CLIENT,
    stopped: to('undecided-detached', ...STOP_DETACHED),
    failed: UNDECIDED_OVER,
    'patience-over': UNDECIDED_OVER,
  },
  'undecided-gone': {
    ...REST,
    began: to('over-gone', 'begin', 'fix-left', 'settle', 'finish'),
    'no-stream': to('other-gone', 'stop-clocks'),
    ended: ENDED_WITHOUT_CLIENT,
  },
  open: {
    ...REST,
    ended: to('ending', 'conclude-end'),
    failed: to('open', 'conclude-failure'),
    destroyed: to('over', 'drop-held', 'send-turn', 'settle-as-told', 'finish'),
    stopped: to('grace', 'start-grace', 'record-departure', 'abort', 'call-close-listeners'),
    'grace-over': to('closing', 'close-when-released'),
    interrupted: to('closing', 'record-departure', 'abort', 'interrupt'),
    cut: CUT_OFF,
    'client-left': CLIENT_LEFT_FOR_GOOD,
    'client-left-detached': to('detached', ...GOES_ON),
    'client-left-settled': to('detached-settled', ...GOES_ON),
  },
  ending: {
    ...REST,
    released: to('ended'),
    failed: to('ending', 'conclude-failure'),
    finished: to('over', 'finish'),
    cut: CUT_OFF,
    ...LEFT_AFTER_END,
  },
  ended: {
    ...REST,
    finished: to('over', 'finish'),
    cut: CUT_OFF,
    ...LEFT_AFTER_END,
  },
  grace: {
    ...REST,
    ended: to('ending', 'settle-and-hold'),
    marker: to('open', 'settle-and-hold', 'start-marker-grace'),
    failed: CLOSE_AFTER_GRACE,
    destroyed: CLOSE_AFTER_GRACE,
    'grace-over': CLOSE_AFTER_GRACE,
    interrupted: CLOSE_AFTER_GRACE,
    cut: to('over-gone', ...CUT, 'settle', 'finish'),
    'client-left': to('grace-gone', ...LEFT),
  },
  'grace-gone': {
    ...REST,
    ended: to('over-gone', 'answer-end', 'settle', 'finish'),
    failed: SETTLED_AT_LAST,
    destroyed: SETTLED_AT_LAST,
    'grace-over': SETTLED_AT_LAST,
    interrupted: SETTLED_AT_LAST,
  },
  detached: {
    ...REST,
    ended: to('over-gone', 'answer-end', 'settle', 'finish'),
    stopped: to('detached', ...STOP_DETACHED),
    failed: DETACHED_OVER,
    'patience-over': DETACHED_OVER,
    interrupted: DETACHED_OVER,
  },
  'detached-settled': {
    ...REST,
    ended: to('over-gone', 'answer-end', 'settle-what-grew', 'finish'),
    stopped: to('detached-settled', ...STOP_DETACHED),
    failed: SETTLED_OVER,
    'patience-over': SETTLED_OVER,
    interrupted: SETTLED_OVER,
  },
  closing: {
    ...REST,
    finished: to('over', 'finish'),
    cut: to('over', ...CUT, 'finish'),
    'client-left': to('over-gone', ...LEFT, 'finish'),
    'close-due': to('closed', 'close'),
  },
  closed: { ...REST, ended: to('closed', 'answer-end'), finished: to('over-gone', 'finish') },
  over: { ...REST, began: 'ignored', 'close-due': to('over-gone', 'close') },
  'over-gone': {
    ...REST,
    began: 'ignored',
    ended: to('over-gone', 'answer-end'),
    'close-due': to('over-gone', 'close'),
  },
  other: REST,
  'other-detached': {
    ...REST,
    ended: ENDED_WITHOUT_CLIENT,
    failed: OTHER_OVER,
    'patience-over': OTHER_OVER,
  },
  'other-gone': { ...REST, ended: ENDED_WITHOUT_CLIENT },
};

/** What an event does to a stream in a phase. */
export function transition(phase: PhaseName, event: StreamEvent): Answer {
  return TRANSITIONS[phase][event];
}
