/**
 * The only place where the phase of a stream changes and where the effects of that are carried out: the table names the effects,
 * and each effect has its function here.
 */
import type { Departure } from '../../core/current-stream.ts';
import type { FinishRefusal } from '../../core/observer.ts';
import type { TerminalFact } from '../body/message-builder.ts';
import { errorType, outcomeOf, sideOf } from '../client/failure.ts';
import type { ResponseHead } from '../response/is-stream.ts';
import { PHASES, type StreamEvent } from './phases.ts';
import type { Stream } from './stream.ts';
import { type Effect, transition } from './transition-table.ts';

/** How long a handler that was told to stop has to end its response by itself. */
const GRACE_MS = 1_000;

/** The outcome of a stream whose client has left. */
export const CLIENT_LEFT: TerminalFact = { outcome: 'disconnected', side: 'client' };

/** The data of an event; each effect reads the fields that it needs. */
export interface EventFacts {
  /** With `began`. */
  readonly head?: ResponseHead;
  /** With `ended`: what the handler gave to `end()`. */
  readonly callback?: (() => void) | undefined;
  /** With `failed`. */
  readonly error?: unknown;
  /** The outcome of the event. */
  readonly terminal?: TerminalFact;
  /** That outcome was fixed just now; false where an earlier one stays fixed. */
  readonly fixed?: boolean;
  /** The reason with which the handler's signal aborts; undefined where it does not abort. */
  readonly reason?: string | undefined;
  /** Why the answer is no longer awaited; undefined where that is not certain. */
  readonly departure?: Departure | undefined;
  /** Why the handler may not go on without its client, where its policy would let it. */
  readonly refusal?: FinishRefusal | undefined;
}

const NO_FACTS: EventFacts = {};

/**
 * Applies one event to a stream. False where the phase ignores the event. An event that the table calls impossible is counted and
 * logged as an internal error, and changes nothing: a bug of ours must not break the app.
 */
export function step(stream: Stream, event: StreamEvent, facts: EventFacts = NO_FACTS): boolean {
  const { environment, phase } = stream;
  const answer = transition(phase.name, event);
  if (answer === 'ignored') return false;
  if (answer === 'impossible') {
    environment.onInternalError('stream', new ImpossibleEvent(phase.name, event));
    return false;
  }
  stream.phase = PHASES[answer.to];
  environment.observer.onPhase(stream, { event, from: phase.name, to: answer.to });
  for (const effect of answer.effects) EFFECTS[effect](stream, facts);
  return true;
}

/** An event was raised in a phase in which it is impossible. */
class ImpossibleEvent extends Error {
  override readonly name = 'ImpossibleEvent';

  constructor(phase: string, event: string) {
    super(`a stream that is ${phase} cannot take the event ${event}`);
  }
}

const EFFECTS: Readonly<Record<Effect, (stream: Stream, facts: EventFacts) => void>> = {
  begin: (stream, { head }) => head && stream.begin(head),
  'stop-clocks': ({ timings }) => timings.stop(),
  unlist: (stream) => stream.unlist(),
  unregister: (stream) => stream.unregister(),
  detach: ({ finishing }) => finishing?.begin(),
  'announce-detached': ({ finishing }) => finishing?.announce(),
  'answer-end': ({ finishing }, { callback }) => finishing?.end(callback),
  'cut-short': (stream) => (stream.cutShort = true),
  reattach: ({ finishing }) => finishing?.restore(),
  'conclude-end': (stream) => stream.body && stream.conclude(stream.body.endFact()),
  'conclude-failure': concludeFailure,
  'fix-left': (stream) => stream.fixOutcome(CLIENT_LEFT),
  settle: (stream) => stream.settle(),
  'settle-if-fixed': (stream, { fixed }) => fixed === true && stream.settle(),
  'settle-as-told': (stream, { terminal }) =>
    terminal !== undefined && stream.fixOutcome(terminal) && stream.settle(),
  'settle-what-grew': (stream) => {
    if (stream.body?.builder?.grew() === true && stream.fixOutcome(CLIENT_LEFT)) stream.settle();
  },
  'settle-and-hold': (stream) => {
    const progress = stream.settle();
    if (progress !== undefined) stream.holdUntil(progress);
  },
  'settle-and-close': (stream) => {
    const how = closingOf(stream);
    closeAfter(stream, stream.settle()?.confirmed, how);
  },
  // A frame that is held is already saved, or being saved.
  interrupt: (stream, { fixed }) =>
    closeAfter(stream, fixed === true ? stream.settle()?.confirmed : stream.released, 'destroy'),
  'close-when-released': (stream) => closeAfter(stream, stream.released, closingOf(stream)),
  close,
  'record-departure': ({ stopSignal }, { departure }) =>
    departure !== undefined && stopSignal.recordDeparture(departure),
  'tell-disconnect': (stream, { fixed }) =>
    fixed === true && stream.environment.observer.onDisconnect(stream),
  'tell-refused': (stream, { refusal }) =>
    refusal !== undefined && stream.environment.observer.onFinishRefused(stream, refusal),
  abort: ({ stopSignal }, { reason }) => reason !== undefined && stopSignal.abort(reason),
  'call-close-listeners': ({ finishing }) => finishing?.callCloseListeners(),
  'drop-held': (stream) => stream.dropHeld(),
  // What was written in an earlier tick of this turn would have left by now.
  'send-turn': ({ body }) => body?.sendTurn(),
  'emit-drain': ({ guarded, timings }) => guarded && timings.emitDrain(),
  'remember-stop': (stream, { terminal, reason }) => {
    if (terminal !== undefined && reason !== undefined) stream.pendingStop ??= { terminal, reason };
  },
  'start-grace': (stream) => {
    stream.timings.handlerEnded();
    startGrace(stream, () => step(stream, 'grace-over'));
  },
  'start-marker-grace': (stream) => startGrace(stream, () => step(stream, 'grace-over')),
  'start-detached-grace': (stream, { reason }) =>
    startGrace(stream, () => step(stream, 'patience-over', { reason })),
  finish: (stream) => stream.finish(),
};

function concludeFailure(stream: Stream, { error }: EventFacts): void {
  // An error after a stop or a time-out is a consequence of that.
  const outcome = stream.terminal?.outcome;
  if (outcome === 'stopped' || outcome === 'timed-out') return;
  stream.failure = { outcome: outcomeOf(error), side: sideOf(error), errorType: errorType(error) };
  stream.conclude(stream.failure, true);
}

function startGrace(stream: Stream, onEnd: () => void): void {
  clearTimeout(stream.graceTimer);
  stream.graceTimer = setTimeout(onEnd, GRACE_MS);
}

/** A regular end would tell the client that the answer is whole. Only a stop ends regularly: its client knows of the stop. */
function closingOf({ terminal }: Stream): 'end' | 'destroy' {
  return terminal?.outcome === 'stopped' ? 'end' : 'destroy';
}

function closeAfter(
  stream: Stream,
  safe: Promise<unknown> | undefined,
  how: 'end' | 'destroy',
): void {
  stream.closeMode = how;
  stream.timings.emitDrain();
  if (safe === undefined) step(stream, 'close-due');
  else void safe.then(() => step(stream, 'close-due'));
}

function close(stream: Stream): void {
  const { closeMode = 'destroy', hold, hooks, timings, exchange } = stream;
  // The message is safe by now: an end sends what is held, a destroy drops it.
  if (closeMode === 'end') hold.release();
  else stream.dropHeld();
  hooks.closeResponse(closeMode);
  // The rest of the answer may wait for a client that reads nothing: the stall time-out applies.
  if (closeMode === 'end' && exchange.res.writableLength > 0) timings.beginBackpressure();
}
