/**
 * A live stream as the relay reads it: the pieces that were captured, how far readers on other instances may read, and how it ended.
 * The relay reads it when a flush is due. A terminal frame is held back from readers until the message is safe, as it is from the
 * client itself.
 */
import type { Captured, OpenedStream } from '../../core/save-port.ts';
import type { RelaySource, ResumableHead, SourceEnd } from '../../relay/source.ts';
import type { Body, PastBody } from '../body/body.ts';
import type { Capture } from '../body/capture.ts';
import type { TerminalFact } from '../body/message-builder.ts';
import type { Identity } from '../body/identity.ts';
import type { StreamEnvironment } from '../lifecycle/environment.ts';
import { outputOf } from '../response/connection-output.ts';
import { type Exchange, outputTargetOf } from '../response/exchange.ts';

/** What a source has to know of its stream. */
export interface SourceOwner {
  readonly exchange: Exchange;
  readonly environment: StreamEnvironment;
  readonly identity: Identity;
  readonly body: Body | undefined;
  readonly report: { readonly done: boolean; readonly past: PastBody | undefined };
  readonly terminal: TerminalFact | undefined;
  readonly endCalled: boolean;
  readonly cutShort: boolean;
  readonly wasStopped: boolean;
  readonly closeMode: 'end' | 'destroy' | undefined;
}

/** The interface through which one stream is passed to other instances. */
export class LiveSource implements RelaySource {
  readonly opened: OpenedStream;
  readonly head: ResumableHead;
  readonly body: Captured;
  heldFrom: number | undefined;
  readonly #owner: SourceOwner;
  readonly #capture: Capture;
  /** Saves that are not confirmed yet. */
  #saves = 0;
  /** With `ahead`: the bytes of the response wait for the engine until this is called. */
  #endAhead: (() => void) | undefined;
  /** Fixed when the response is over: a handler may still call `end()` after that. */
  #isTidy: boolean | undefined;

  private constructor(owner: SourceOwner, opened: OpenedStream, capture: Capture) {
    this.opened = opened;
    this.head = resumableHead(owner.exchange, opened);
    this.body = capture;
    this.#owner = owner;
    this.#capture = capture;
  }

  /** Opens a stream on the relay; `undefined` without a relay, or where nothing is kept. */
  static of(owner: SourceOwner, { opened, captured }: Body): LiveSource | undefined {
    const { relay } = owner.environment;
    if (relay === undefined || opened === undefined) return undefined;
    const source = new LiveSource(owner, opened, captured);
    relay.open(source);
    const ahead = relay.aheadOf(opened.id);
    if (ahead !== undefined) {
      source.#endAhead = outputOf(outputTargetOf(owner.exchange)).waitFor(ahead);
    }
    return source;
  }

  get isExact(): boolean {
    return this.#capture.isExact && this.#capture.droppedBytes === 0 && this.isWhole;
  }

  get isWhole(): boolean {
    return this.#capture.isWhole;
  }

  get conversationId(): string | null {
    return this.#owner.identity.conversationId;
  }

  get end(): SourceEnd | undefined {
    if (this.#isTidy === undefined || this.heldFrom !== undefined) return undefined;
    const { terminal, report, body } = this.#owner;
    const result = (body?.builder ?? report.past)?.result;
    return {
      isTidy: this.#isTidy,
      outcome: terminal?.outcome ?? 'completed',
      save: result ?? (report.done ? 'empty' : null),
    };
  }

  /** The piece that was captured last may be the end: it is held, with all that follows. */
  hold(): void {
    this.heldFrom ??= Math.max(0, this.body.pieces.length - 1);
  }

  /** A message was handed over, or, without `confirmed`, there was none. */
  holdUntil(confirmed: Promise<unknown> | undefined): void {
    if (confirmed === undefined) return this.#release();
    this.hold();
    this.#saves += 1;
    void confirmed.then(() => {
      this.#saves -= 1;
      this.#release();
    });
  }

  /** The response is over. */
  finish(): void {
    this.#endAhead?.();
    const { wasStopped, endCalled, cutShort, closeMode } = this.#owner;
    this.#isTidy = wasStopped || (endCalled && !cutShort && closeMode !== 'destroy');
    this.#release();
  }

  #release(): void {
    if (this.#saves === 0) this.heldFrom = undefined;
  }
}

/** Headers that a resumed response repeats: those about the body, and ids. Not lengths, cookies, validators and hop-by-hop headers. */
const REPEATED: ReadonlySet<string> = new Set([
  'content-type',
  'content-language',
  'x-accel-buffering',
  'x-stream-id',
  'x-message-id',
  'x-conversation-id',
  'x-chat-id',
  'x-thread-id',
  'x-run-id',
]);

/** The AI SDK's clients recognise a stream by these headers. */
const REPEATED_PREFIX = 'x-vercel-ai-';

/** Status and headers of a response whose head is built, or about to be. */
function resumableHead({ res }: Exchange, opened: OpenedStream): ResumableHead {
  const { contentEncoding } = opened;
  const headers = headersOf(res).filter(([name]) => isRepeated(name));
  // A coding that compression() adds behind the guard is not repeated: offsets count the bytes of the body before it.
  if (contentEncoding !== 'identity') headers.push(['content-encoding', contentEncoding]);
  return { status: res.statusCode, headers };
}

function isRepeated(name: string): boolean {
  return REPEATED.has(name) || name.startsWith(REPEATED_PREFIX);
}

/** Names in lower case. Headers given to `writeHead` are only in the built head, which Node keeps as text, except over HTTP/2. */
function headersOf(res: Exchange['res']): [string, string][] {
  const { _header: head } = res as { _header?: string | null };
  if (typeof head !== 'string') {
    return Object.entries(res.getHeaders()).map(([name, value]) => [name, String(value)]);
  }
  return head
    .split('\r\n')
    .slice(1)
    .flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      if (colon <= 0) return [];
      return [[line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]];
    });
}
