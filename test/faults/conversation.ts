/** One stream of the suite: its text, the behaviour of its client, and what that client received. */
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

/** The request of a client: the generator sends these tokens, each repeated `times` times in one frame. */
export interface Ask {
  readonly tokens: readonly string[];
  readonly times: number;
  readonly gapMs: number;
  /** The whole answer is written in one turn of the event loop. */
  readonly atOnce?: boolean;
  readonly handler: HandlerKind;
}

/** When a client leaves, and how: a FIN, as a closed tab; a RST, as a lost network; or a half-close, after which it continues to read. */
export interface Leave {
  readonly at: number | 'finish' | 'done';
  readonly by: 'fin' | 'rst' | 'half';
}

/** One stream. */
export interface Conversation {
  readonly id: string;
  readonly ask: Ask;
  /** All tokens joined. Computed on each read, because a long soak has gigabytes of text. */
  readonly text: string;
  readonly leave: Leave | undefined;
  /** The client pauses repeatedly, so that the buffers of its connection fill up. */
  readonly isSlow: boolean;
  /** The client uses HTTP/2. */
  readonly isHttp2: boolean;
  /** The app may end during this stream, so that a part of the text is a valid result too. */
  mayBeInterrupted: boolean;
  /** The text of all frames that arrived. */
  readonly seen: string;
  /** The part of `seen` with which the stored text must begin: all of it, except what `mayLose` excludes. */
  readonly owed: string;
  /** Text that arrived after this time of `performance.now()` may be lost; needs a tape. */
  mayLose(afterMs: number): void;
  /** The bytes that arrived, and when; only with `isTaped`. */
  readonly tape: Tape | undefined;
  /** Records a frame that arrived with this text. */
  saw(content: string): void;
  /** Nothing more will arrive: `seen` is stored as a length, if it is a prefix of the text. */
  over(): void;
  /** Tokens that arrived so far. */
  tokens: number;
  /** The frame with the finish reason has arrived. */
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
  /** Pause between two tokens; default 1 to 8 ms. */
  readonly gapMs?: readonly [min: number, max: number];
  /** Answers are written in one turn, to clients that read to the end. */
  readonly atOnce?: boolean;
  /** Default `express`. */
  readonly handler?: HandlerKind;
  /** No client leaves. Default false. */
  readonly stays?: boolean;
  /** How often each token is repeated; default 1. */
  readonly times?: number;
  readonly isSlow?: boolean;
  /** The client uses HTTP/2, which the handler `plain` serves. Default false. */
  readonly isHttp2?: boolean;
  /** Records bytes and times. */
  readonly isTaped?: boolean;
  /** Some clients leave by closing one half of the connection. Default false. */
  readonly mayHalfClose?: boolean;
  /** Used instead of the bench's random numbers. */
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

/** The path of its handler. */
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
