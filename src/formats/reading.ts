/** What a body says, out of what its frames amount to. */
import { type Accumulator, eventsOf } from './accumulator.ts';
import type { FinishMarker, Format } from './format.ts';
import type { Framed } from './framing.ts';

/** What a body says. */
export interface BodyReading {
  /** Name of the format it was read by. */
  readonly format: string;
  readonly finishMarker: FinishMarker;
  readonly text: string;
  /**
   * Every data payload in order, parsed; a string where it was not JSON. None for plain text. Made when it is asked
   * for: most messages are kept without.
   */
  readonly events: readonly unknown[];
  /** Every payload is accounted for and carries nothing, and there are at most 512 bytes of them. */
  readonly empty: boolean;
  /** The finish marker is there, and no content behind it. */
  readonly finished: boolean;
  /** A frame by which the format says that the answer failed is there. */
  readonly errorFrame: boolean;
  /** A payload has content that nobody knows; it is in `events` only. */
  readonly unknownText: boolean;
  readonly toolCalls: boolean;
  /** Content that is not text (thinking, sources, files, the app's data parts); it is in `events` only. */
  readonly wordless: boolean;
  /** Why the model stopped, in the provider's word: the last one that was given. */
  readonly finishReason: string | undefined;
}

/** How a body of one framing is read. */
export interface Reading {
  feed(text: string, fits: boolean): void;
  result(): BodyReading;
}

/** The result of a body that was read by `format`. */
export function toReading(accumulator: Accumulator, format: Format, framing: Framed): BodyReading {
  const { events: payloads, text, empty, finished, errorFrame } = accumulator;
  const { unknownText, toolCalls, wordless, finishReason } = accumulator;
  const count = payloads.length;
  return {
    text,
    empty,
    finished,
    errorFrame,
    unknownText,
    toolCalls,
    wordless,
    finishReason,
    get events() {
      return eventsOf(framing, payloads.slice(0, count));
    },
    format: format.name,
    finishMarker: format.finishMarker,
  };
}
