/** The result of reading a body, made from the accumulated frames. */
import type { TokenUsage } from '../core/observer.ts';
import type { Accumulator } from './accumulator.ts';
import type { FinishMarker, Format } from './format.ts';
import type { Framed } from './framing.ts';
import type { Payloads } from './payloads.ts';

/** The result of reading a body. */
export interface BodyReading {
  /** Name of the format it was read by. */
  readonly format: string;
  readonly finishMarker: FinishMarker;
  readonly text: string;
  /**
   * Every data payload in order, parsed; a string where it was not JSON. Empty for plain text. Built when it is read: most messages
   * are stored without.
   */
  readonly events: readonly unknown[];
  /** Every payload is accounted for and carries nothing, and there are at most 512 bytes of them. */
  readonly empty: boolean;
  /** The finish marker came, and no content after it. */
  readonly finished: boolean;
  /** There is a frame that shows that the answer failed. */
  readonly errorFrame: boolean;
  /** A payload has content that its format does not recognise; it is in `events` only. */
  readonly unknownText: boolean;
  readonly toolCalls: boolean;
  /** Content that is not text (thinking, sources, files, the app's data parts); it is in `events` only. */
  readonly wordless: boolean;
  /** Why the model stopped, in the provider's word; the last one that was sent. */
  readonly finishReason: string | undefined;
  /** Token counts, as far as the body has them. */
  readonly usage: TokenUsage;
}

/** How a body of one framing is read. */
export interface Reading {
  feed(text: string, fits: boolean): void;
  result(): BodyReading;
  /** Parses up to `most` unparsed payloads; true when none is left. */
  parsePayloads(most: number): boolean;
}

/** The result of a body that was read by `format`. `isCut`: it ends inside a value of JSON, and so is not whole by any format. */
export function toReading(
  accumulator: Accumulator,
  format: Format,
  framing: Framed,
  isCut = false,
): BodyReading {
  return new AccumulatedReading(accumulator, format, { framing, isCut });
}

/** A class, because an object literal with an accessor costs some microseconds. */
class AccumulatedReading implements BodyReading {
  readonly format: string;
  readonly finishMarker: FinishMarker;
  readonly text: string;
  readonly empty: boolean;
  readonly finished: boolean;
  readonly errorFrame: boolean;
  readonly unknownText: boolean;
  readonly toolCalls: boolean;
  readonly wordless: boolean;
  readonly finishReason: string | undefined;
  readonly usage: TokenUsage;
  readonly #payloads: Payloads;
  /** Number of payloads of this result; the list grows when more of the body is read. */
  readonly #count: number;
  readonly #framing: Framed;

  constructor(
    accumulator: Accumulator,
    { name, finishMarker }: Format,
    { framing, isCut }: { readonly framing: Framed; readonly isCut: boolean },
  ) {
    this.format = name;
    this.finishMarker = isCut ? 'needed' : finishMarker;
    this.text = accumulator.text;
    this.empty = accumulator.empty;
    this.finished = accumulator.finished;
    this.errorFrame = accumulator.errorFrame;
    this.unknownText = accumulator.unknownText;
    this.toolCalls = accumulator.toolCalls;
    this.wordless = accumulator.wordless;
    this.finishReason = accumulator.finishReason;
    this.usage = accumulator.usage;
    this.#payloads = accumulator.payloads;
    this.#count = accumulator.payloads.count;
    this.#framing = framing;
  }

  get events(): readonly unknown[] {
    return this.#payloads.first(this.#framing, this.#count);
  }
}
