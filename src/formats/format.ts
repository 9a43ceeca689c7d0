/**
 * The interface of a wire format: where the text of a payload is, which members are about the stream and not part of the answer, and
 * which frame is the end. Formats are pure functions of one frame, so that inspecting a live stream and reading a finished body
 * give the same result.
 */
import { account, type FieldTable, type Findings, type Leaf } from './account.ts';
import type { TokenUsage } from '../core/observer.ts';
import { isDone } from './json.ts';

/** One payload of a stream: an SSE event, a line of NDJSON, or an element of a JSON array. */
export interface Frame {
  /** The text on the wire; the `data:` lines of one SSE event are joined by `\n`. */
  readonly data: string;
  /** The `event:` of an SSE frame; the code of a line of the AI SDK's data stream. */
  readonly event: string | undefined;
  /** `data` parsed, or `undefined` where it is not JSON. */
  readonly json: unknown;
}

/**
 * What a frame carries. `nothing` (heartbeat, role, usage, start and finish frames) is checked: a payload with leaves that are
 * neither plumbing nor text is kept all the same. A format returns `unknown` for a frame that it does not recognise.
 */
export type Carries = 'nothing' | 'content' | 'error' | 'unknown';

/** How the body is cut into frames. `text` has no frames: the body is the text. */
export type Framing = 'sse' | 'ndjson' | 'text';

/** A stream without the finish marker is truncated (`needed`) or complete (`accepted`), or the format has no marker (`none`). */
export type FinishMarker = 'needed' | 'accepted' | 'none';

/** A wire format. This is also the interface for one of your own: three functions and four facts. */
export interface Format {
  /** Shown in logs and spans. Lower case, and not the name of a built-in format. */
  readonly name: string;
  /** How the body is cut into frames. */
  readonly framing: Framing;
  /** How a stream counts that ends without the finish marker. */
  readonly finishMarker: FinishMarker;
  /**
   * Short strings: every terminal frame and every error frame must contain one of them, as on the wire. A chunk without any of
   * them is not parsed when it is written. Absent: every chunk is parsed.
   */
  readonly needles?: readonly string[];
  /**
   * Key paths of JSON payloads that are about the stream and not part of the answer, as `usage.**` or `choices.*.index`. A payload
   * with other leaves that are not in the text is kept in the message's events.
   */
  readonly plumbing?: readonly string[];
  /** True for the frame that tells a client that the answer is over. */
  terminal(frame: Frame): boolean;
  /** What the frame adds to the answer's text; `''` for nothing. */
  text(frame: Frame): string;
  /** What the frame carries; it decides whether a stream without text is empty. */
  carries(frame: Frame): Carries;
}

/** What a built-in format is made of. */
export interface FormatDefinition {
  readonly name: string;
  readonly framing: Framing;
  readonly finishMarker: FinishMarker;
  /**
   * Sources of regular expressions: one of them must match in every terminal and error frame, and few other frames should match. They run
   * over every chunk, so each begins with a literal character that is rare. A match that the end of the text cuts off (at a look-ahead)
   * must count as a match.
   */
  readonly prefilter: readonly string[];
  /** True for a payload that only this format has: content, a start or an end. One is enough to choose the format. */
  recognises(frame: Frame): boolean;
  /** The rows by which the leaves of a payload are classified. */
  fields(frame: Frame): FieldTable;
  /** The pieces of text that the frame adds. */
  texts(frame: Frame): readonly string[];
  /** Pieces of text that a frame repeats, of a part or of the whole answer; they are the text if none came before. */
  whole?(frame: Frame): readonly string[];
  /** True for the frame that tells a client that the answer is over; it is held. */
  terminal(frame: Frame): boolean;
  /** True for a frame after which the answer is whole if nothing follows, although it is not terminal. */
  ends?(frame: Frame): boolean;
  /** True for a frame that shows that the answer failed. */
  failed(frame: Frame): boolean;
  /** Why the model stopped, in the provider's own word. */
  finishReason(frame: Frame): string | undefined;
  /** Token counts of the answer in this frame; absent where the format never has any. */
  usage?(frame: Frame): TokenUsage | undefined;
}

/** A format that ships with lastchunk: it can be recognised by content, and has more functions than a custom format needs. */
export interface BuiltInFormat extends Format, FormatDefinition {
  terminal(frame: Frame): boolean;
  whole(frame: Frame): readonly string[];
  ends(frame: Frame): boolean;
  /** True for a frame that is part of a tool call. */
  toolCall(frame: Frame): boolean;
}

/** Makes a format from its definition: `carries` follows from the account of the leaves. */
export function defineFormat(definition: FormatDefinition): BuiltInFormat {
  const whole = (frame: Frame): readonly string[] => definition.whole?.(frame) ?? [];
  const findingsOf = (frame: Frame): Findings =>
    account(
      payloadOf(frame),
      definition.fields(frame),
      textTest([...definition.texts(frame), ...whole(frame)]),
    );
  const text = (frame: Frame): string => definition.texts(frame).join('');
  return {
    ...definition,
    whole,
    ends: (frame) => definition.ends?.(frame) ?? false,
    text,
    toolCall: (frame) => findingsOf(frame).tool,
    carries: (frame) => {
      if (definition.failed(frame)) return 'error';
      const { unknown, wordless, tool } = findingsOf(frame);
      if (unknown) return 'unknown';
      return wordless || tool || text(frame) !== '' ? 'content' : 'nothing';
    },
  };
}

/** The value to account for: the parsed payload, or the text if it is not JSON; undefined for `[DONE]`. */
export function payloadOf(frame: Frame): unknown {
  if (isDone(frame)) return undefined;
  return frame.json === undefined ? frame.data : frame.json;
}

/** Whether a leaf is one of these texts. */
export function textTest(texts: readonly string[]): (leaf: Leaf) => boolean {
  if (texts.length < 4) return (leaf) => texts.some((text) => text === String(leaf));
  const set = new Set(texts);
  return (leaf) => set.has(String(leaf));
}
