/** The options of `guard()` and `observe()`, checked once and completed with their defaults. */
import type { IncomingMessage } from 'node:http';
import { type Outcome, OUTCOMES } from '../core/message.ts';
import {
  bad,
  flag,
  oneOf,
  optionalFunction,
  optionGroup,
  refuseUnknown,
  show,
  wholeNumber,
} from '../core/options.ts';
import type { Response } from './response/exchange.ts';
import { type Format, resolveFormat } from '../formats/index.ts';

/** What to do with the message of a stream, by the outcome of the stream. */
export type Policy =
  /** `disconnected` only: let the handler run to its end and keep everything. */
  | 'finish'
  /** Keep what the handler wrote before the stream ended. */
  | 'keep'
  /** Keep nothing; the stream is counted as skipped. */
  | 'discard';

/** Which message a stream is: its ids, its conversation, its role. */
export interface MessageIdentity {
  /** Default: a UUIDv7. A row whose id belongs to another stream is never overwritten. */
  readonly id?: string | undefined;
  /** Absent or empty: the message is kept without one, and counted. */
  readonly conversationId?: string | undefined;
  /** Default `assistant`. */
  readonly role?: string | undefined;
  /** JSON values only; over 64 KiB it is dropped with a note. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** How long and how large a stream may grow after its client left. */
export interface FinishBudget<Req = AppRequest> {
  /** Default 300 000 ms, 1 to 86 400 000. */
  readonly timeoutMs?: number;
  /** Bytes written after the client left; default 16 MiB, 0 to 1 GiB. */
  readonly maxBytes?: number;
  /** Streams of this guard that may outlive their clients at a time; default 1 000, 0 to 1 000 000. */
  readonly maxConcurrent?: number;
  /**
   * The key whose share of `maxConcurrent` a request uses, such as the user's id; `undefined` for no key. Called when the request
   * reaches the guard. Default: Express's `req.ip` where `trust proxy` is set, no key elsewhere.
   */
  readonly key?: (req: Req) => string | undefined;
  /** The same, of one key; default a tenth of `maxConcurrent`, but at least 1; 1 to 1 000 000. */
  readonly maxConcurrentPerKey?: number;
}

/** Options of `observe()`. */
export interface ObserveOptions {
  /** Label of every series; default the Express pattern. */
  readonly route?: string;
  /** Wire format: a name, your own, or `auto` (default). */
  readonly format?: string | Format;
  /** What counts as a stream; default by status, body and media type. */
  readonly stream?: true | ((res: Response) => boolean);
  /**
   * A message that has no result this long after it was due is `missing`; default 60 000 ms, 1 to 86 400 000. Without a guard it
   * applies to messages that the app saves itself: `expect()`, `track()`.
   */
  readonly missingAfterMs?: number;
}

/** A request as Express gives it to a handler: the default request type of the option `message`. */
export interface AppRequest extends IncomingMessage {
  /** Values of the parameters in the path. */
  readonly params: Readonly<Record<string, string>>;
  /** Parsed by the app's query parser. */
  readonly query: Readonly<Record<string, unknown>>;
  /** The body as a body parser in front of the guard parsed it. */
  readonly body?: unknown;
}

/** Options of `guard()`. `Req` is the app's own request type. */
export interface GuardOptions<Req = AppRequest> extends ObserveOptions {
  /** Names the message, synchronously; called again at its end if it named no conversation. If it throws, the message is still kept. */
  readonly message?: (req: Req, res: Response) => MessageIdentity | undefined;
  /** What to do with the message, per outcome; default `finish` for `disconnected`, `keep` for all others. */
  readonly policy?: Partial<Record<Outcome, Policy>>;
  /** Bytes kept of one stream; default 16 MiB, 1 KiB to 1 GiB. */
  readonly maxBytes?: number;
  /** How long and how large a stream may grow after its client left. */
  readonly finish?: FinishBudget<Req>;
  /** The longest time that a terminal frame is held until its message is saved; default 2 000 ms, 1 to 600 000. */
  readonly confirmTimeoutMs?: number;
  /** Longest time without a data frame from the handler; default 0 = off, to 86 400 000 ms. */
  readonly idleTimeoutMs?: number;
  /** Longest time without progress of a response whose buffer is full; default 0 = off, to 86 400 000 ms. */
  readonly stallTimeoutMs?: number;
  /** The headers `X-Stream-Id` and `X-Message-Id`; default true. */
  readonly headers?: boolean;
  /** Store every parsed payload; default false: payloads are stored only where there are tool calls, or one was not recognised. */
  readonly events?: boolean;
  /**
   * Adds an `id`, the offset in the body, to each frame of an event stream that has none, so that `EventSource` resumes by itself
   * through `resumeHandler()`; default false. Needs the option `relay` of `lastchunk()`. Changes what is sent, not what is stored as text.
   */
  readonly ids?: boolean;
}

/** `finish`, checked; `key` is undefined where the app gave none. */
export interface FinishSettings {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly maxConcurrent: number;
  readonly maxConcurrentPerKey: number;
  readonly key: ((req: IncomingMessage) => unknown) | undefined;
}

export interface StreamSettings {
  readonly guarded: boolean;
  readonly message: ((req: IncomingMessage, res: Response) => unknown) | undefined;
  readonly route: string | undefined;
  readonly policy: Readonly<Record<Outcome, Policy>>;
  readonly format: Format | 'auto';
  readonly stream: true | ((res: Response) => boolean) | undefined;
  readonly maxBytes: number;
  readonly finish: FinishSettings;
  readonly confirmTimeoutMs: number;
  readonly missingAfterMs: number;
  readonly idleTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly headers: boolean;
  readonly events: boolean;
  readonly ids: boolean;
}

const OBSERVE_KEYS = ['route', 'format', 'stream', 'missingAfterMs'];
const GUARD_KEYS = [
  ...OBSERVE_KEYS,
  'message',
  'policy',
  'maxBytes',
  'finish',
  'confirmTimeoutMs',
  'idleTimeoutMs',
  'stallTimeoutMs',
  'headers',
  'events',
  'ids',
];

const FINISH_KEYS = ['timeoutMs', 'maxBytes', 'maxConcurrent', 'key', 'maxConcurrentPerKey'];

const DAY_MS = 86_400_000;
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Settings of a stream that is only counted. */
export function observeSettings(options: ObserveOptions = {}): StreamSettings {
  refuseUnknown('observe()', optionGroup('options', options), OBSERVE_KEYS);
  return { ...guardDefaults(options), guarded: false, headers: false };
}

/** Settings of a guarded stream. Throws `bad-option` for anything unknown or impossible. */
export function guardSettings<Req = AppRequest>(options: GuardOptions<Req> = {}): StreamSettings {
  refuseUnknown('guard()', optionGroup('options', options), GUARD_KEYS);
  return guardDefaults(options);
}

function guardDefaults<Req>(options: GuardOptions<Req>): StreamSettings {
  const ms = (name: keyof GuardOptions<Req>, fallback: number, min: number, max = DAY_MS): number =>
    wholeNumber(name, options[name], { min, max, fallback });
  return {
    guarded: true,
    // The app's handler declares its own request type; ours is the base of all of them.
    message: optionalFunction('message', options.message) as StreamSettings['message'],
    route: routeOption(options.route),
    policy: policies(options.policy),
    format: resolveFormat(options.format),
    stream: options.stream === true ? true : optionalFunction('stream', options.stream),
    maxBytes: ms('maxBytes', 16 * MIB, KIB, GIB),
    finish: finishBudget(options.finish),
    confirmTimeoutMs: ms('confirmTimeoutMs', 2_000, 1, 600_000),
    missingAfterMs: ms('missingAfterMs', 60_000, 1),
    idleTimeoutMs: ms('idleTimeoutMs', 0, 0),
    stallTimeoutMs: ms('stallTimeoutMs', 0, 0),
    headers: flag('headers', options.headers, true),
    events: flag('events', options.events, false),
    ids: flag('ids', options.ids, false),
  };
}

function routeOption(route: unknown): string | undefined {
  if (route === undefined) return undefined;
  if (typeof route === 'string' && route.length > 0 && route.length <= 200) return route;
  throw bad(`\`route\` must be a string of 1 to 200 characters, not ${show(route)}`);
}

function policies(given: unknown): Record<Outcome, Policy> {
  const chosen = optionGroup('policy', given);
  refuseUnknown('`policy`', chosen, OUTCOMES);
  const policy = (outcome: Outcome): Policy =>
    outcome === 'disconnected'
      ? oneOf('policy.disconnected', chosen[outcome], ['finish', 'keep', 'discard'], 'finish')
      : oneOf(`policy.${outcome}`, chosen[outcome], ['keep', 'discard'], 'keep');
  return {
    completed: policy('completed'),
    disconnected: policy('disconnected'),
    stopped: policy('stopped'),
    failed: policy('failed'),
    'timed-out': policy('timed-out'),
    truncated: policy('truncated'),
    interrupted: policy('interrupted'),
  };
}

function finishBudget(given: unknown): FinishSettings {
  const chosen = optionGroup('finish', given);
  refuseUnknown('`finish`', chosen, FINISH_KEYS);
  const budget = (key: string, fallback: number, min: number, max: number): number =>
    wholeNumber(`finish.${key}`, chosen[key], { min, max, fallback });
  const maxConcurrent = budget('maxConcurrent', 1_000, 0, 1_000_000);
  const share = Math.max(1, Math.floor(maxConcurrent / 10));
  return {
    timeoutMs: budget('timeoutMs', 300_000, 1, DAY_MS),
    maxBytes: budget('maxBytes', 16 * MIB, 0, GIB),
    maxConcurrent,
    maxConcurrentPerKey: budget('maxConcurrentPerKey', share, 1, 1_000_000),
    // As `message`: the app's own request type.
    key: optionalFunction('finish.key', chosen['key']) as FinishSettings['key'],
  };
}
