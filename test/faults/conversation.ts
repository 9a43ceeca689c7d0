/** One stream of the suite: what is to be said, what its client does, and what that client really got. */
import { answerText } from '../../demo/texts.ts';
import type { Random } from '../../demo/random.ts';

/** What a client sends: the generator says these tokens. */
export interface Ask {
  readonly tokens: readonly string[];
  readonly gapMs: number;
  /** All of it is written in one turn of the event loop. */
  readonly atOnce?: boolean;
}

/** When a client leaves, and how: an orderly FIN as a closed tab, or a RST as a lost network. */
export interface Leave {
  readonly at: number | 'finish' | 'done';
  readonly by: 'fin' | 'rst';
}

/** One stream. */
export interface Conversation {
  readonly id: string;
  readonly ask: Ask;
  /** All tokens together. */
  readonly text: string;
  readonly leave: Leave | undefined;
  /** The app may be ended during this stream, so that a part of the text is a good end too. */
  mayBeInterrupted: boolean;
  /** The text of all frames that arrived. */
  seen: string;
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
}

/** Draws one: 20 to 60 tokens; half of the clients read to the end, the others leave at random. */
export function drawConversation(
  random: Random,
  number: number,
  { prefix, mayBeInterrupted = false, gapMs = [1, 8], atOnce = false }: Drawing,
): Conversation {
  const text = answerText(number, random);
  const tokens = cut(text, random.int(20, 60));
  return {
    id: `${prefix}-${number}`,
    ask: { tokens, gapMs: random.int(...gapMs), atOnce },
    text,
    leave: atOnce ? undefined : drawLeave(random, tokens.length),
    mayBeInterrupted,
    seen: '',
    tokens: 0,
    sawFinish: false,
    status: undefined,
    streamId: undefined,
    messageId: undefined,
  };
}

function drawLeave(random: Random, tokens: number): Leave | undefined {
  const by = random.pick(['fin', 'rst'] as const);
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
