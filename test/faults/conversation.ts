/** One stream of the suite: what is to be said, what its client does, and what that client really got. */
import { answerText } from '../../demo/texts.ts';
import type { Random } from '../../demo/random.ts';
import { Tape } from './tape.ts';

/** How a handler of the app writes its answer. */
export const HANDLERS = [
  'express',
  'plain',
  'pipe',
  'iterator',
  'fetch',
  'compressed',
  'encoded',
] as const;

export type HandlerKind = (typeof HANDLERS)[number];

/** What a client sends: the generator says these tokens, each `times` times in one frame. */
export interface Ask {
  readonly tokens: readonly string[];
  readonly times: number;
  readonly gapMs: number;
  /** All of it is written in one turn of the event loop. */
  readonly atOnce?: boolean;
  readonly handler: HandlerKind;
}

/** When a client leaves, and how: an orderly FIN as a closed tab, a RST as a lost network, or one half, and it reads on. */
export interface Leave {
  readonly at: number | 'finish' | 'done';
  readonly by: 'fin' | 'rst' | 'half';
}

/** One stream. */
export interface Conversation {
  readonly id: string;
  readonly ask: Ask;
  /** All tokens together, made when it is asked for: an hour has gigabytes of them. */
  readonly text: string;
  readonly leave: Leave | undefined;
  /** The client pauses again and again, so that its connection fills up. */
  readonly isSlow: boolean;
  /** It asks over HTTP/2. */
  readonly isHttp2: boolean;
  /** The app may be ended during this stream, so that a part of the text is a good end too. */
  mayBeInterrupted: boolean;
  /** The text of all frames that arrived. */
  readonly seen: string;
  /** What of it a stored text has to begin with: all, but for what `mayLose` has named. */
  readonly owed: string;
  /** What arrived after this time of `performance.now()` may be lost; needs a tape. */
  mayLose(afterMs: number): void;
  /** What arrived and when, where it was asked for. */
  readonly tape: Tape | undefined;
  /** One more frame has arrived, with this text. */
  saw(content: string): void;
  /** Nothing more will arrive: what was seen is kept as a length, if it begins the text. */
  over(): void;
  /** Tokens that arrived so far. */
  tokens: number;
  /** The frame that says the answer is whole has arrived. */
  sawFinish: boolean;
  /** `undefined` when no response came. */
  status: number | undefined;
  /** From the response's headers. */
  streamId: string | undefined;
  messageId: string | undefined;
}

/** How conversations are drawn. */
export interface Drawing {
  readonly prefix: string;
  readonly mayBeInterrupted?: boolean;
  /** Between two tokens; default 1 to 8 ms. */
  readonly gapMs?: readonly [min: number, max: number];
  /** Everything in one turn, to clients that read to the end. */
  readonly atOnce?: boolean;
  /** Default `express`. */
  readonly handler?: HandlerKind;
  /** Nobody leaves. Default false. */
  readonly stays?: boolean;
  /** How often each token is said; default 1. */
  readonly times?: number;
  readonly isSlow?: boolean;
  /** Asks over HTTP/2, which the handler `plain` serves. Default false. */
  readonly isHttp2?: boolean;
  /** Bytes and times are kept. */
  readonly isTaped?: boolean;
  /** Some leave by closing one half of the connection. Default false. */
  readonly mayHalfClose?: boolean;
  /** Draws instead of the bench's own. */
  readonly random?: Random;
}

/** Draws one: 20 to 60 tokens; half of the clients read to the end, the others leave at random. */
export function drawConversation(random: Random, number: number, drawing: Drawing): Conversation {
  const { prefix, mayBeInterrupted = false, gapMs = [1, 8], atOnce = false } = drawing;
  const { handler = 'express', stays = false, times = 1, isSlow = false } = drawing;
  const tokens = cut(answerText(number, random), random.int(20, 60));
  const leave = drawLeave(random, tokens.length, drawing.mayHalfClose === true);
  const textOf = (): string => tokens.map((token) => token.repeat(times)).join('');
  const tape = drawing.isTaped === true ? new Tape() : undefined;
  let seen: string | number = '';
  let owedLength: number | undefined;
  return {
    id: `${prefix}-${number}`,
    ask: { tokens, times, gapMs: random.int(...gapMs), atOnce, handler },
    get text() {
      return textOf();
    },
    leave: atOnce || stays ? undefined : leave,
    isSlow,
    isHttp2: drawing.isHttp2 === true,
    mayBeInterrupted,
    get seen() {
      return typeof seen === 'number' ? textOf().slice(0, seen) : seen;
    },
    get owed() {
      return this.seen.slice(0, owedLength);
    },
    mayLose(afterMs) {
      owedLength = tape?.lengthAt(afterMs);
    },
    tape,
    saw(content) {
      seen = this.seen + content;
      tape?.heard(seen.length);
    },
    over() {
      if (typeof seen === 'string' && textOf().startsWith(seen)) seen = seen.length;
    },
    tokens: 0,
    sawFinish: false,
    status: undefined,
    streamId: undefined,
    messageId: undefined,
  };
}

/** Where its handler listens. */
export function pathOf({ id, ask }: Conversation): string {
  return ask.handler === 'plain' ? `/plain/${id}` : `/chat/${id}`;
}

function drawLeave(random: Random, tokens: number, mayHalfClose: boolean): Leave | undefined {
  const by = random.pick<Leave['by']>(mayHalfClose ? ['fin', 'rst', 'half'] : ['fin', 'rst']);
  const where = random.int(0, 9);
  if (where < 5) return undefined;
  if (where === 5) return { at: 'finish', by };
  if (where === 6) return { at: 'done', by };
  return { at: random.int(1, tokens - 1), by };
}

/** At most `count` pieces of whole code points. */
function cut(text: string, count: number): string[] {
  const characters = Array.from(text);
  const size = Math.ceil(characters.length / count);
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += size) {
    pieces.push(characters.slice(at, at + size).join(''));
  }
  return pieces;
}
