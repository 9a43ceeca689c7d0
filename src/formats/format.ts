/**
 * What lastchunk has to know of a wire format: where the text of a payload is, what of it is about the stream and not of the
 * answer, and which frame is the end. Formats are pure functions over one frame, so that watching a live stream and reading a
 * finished body cannot disagree.
 */
import { account, type FieldTable, type Findings, type Leaf } from './account.ts';
import type { TokenUsage } from '../core/observer.ts';
import { isDone } from './json.ts';

/** One payload of a stream: an SSE event, a line of NDJSON, or an element of a JSON array. */
export interface Frame {
  /** As it stood on the wire; the `data:` lines of one SSE event are joined by `\n`. */
  readonly data: string;
  /** The `event:` of an SSE frame; the code of a line of the AI SDK's data stream. */
  readonly event: string | undefined;
  /** `data` parsed, or `undefined` where it is not JSON. */
  readonly json: unknown;
}

/**
 * What a frame carries. `nothing` is a claim (heartbeat, role, usage, start and finish frames), and is proved: a payload with
 * leaves that are neither plumbing nor text is kept all the same. A format that does not know a frame says `unknown`.
 */
export type Carries = 'nothing' | 'content' | 'error' | 'unknown';

/** How the body is cut into frames. `text` has no frames: the body is the text. */
export type Framing = 'sse' | 'ndjson' | 'text';

/** Whether a stream without the finish marker is truncated (`needed`), fine (`accepted`), or cannot have one (`none`). */
export type FinishMarker = 'needed' | 'accepted' | 'none';

/** A wire format. This is also the interface for one of your own: three functions and four facts. */
export interface Format {
  /** Shown in logs and spans. Lower case, and not the name of a built-in format. */
  readonly name: string;
  /** How the body is cut into frames. */
  readonly framing: Framing;
  /** What a stream is that ends without the finish marker. */
  readonly finishMarker: FinishMarker;
  /**
   * Short strings, one of which every terminal frame and every error frame contains as it stands on the wire.
   * A chunk without any of them is not parsed while it passes. Absent: every chunk is parsed.
   */
  readonly needles?: readonly string[];
  /**
   * Key paths of JSON payloads that are about the stream and not of the answer, as `usage.**` or `choices.*.index`. What is
   * neither there nor in the text is kept in the message's events.
   */
  readonly plumbing?: readonly string[];
  /** True for the frame that tells a client that the answer is over. */
  terminal(frame: Frame): boolean;
  /** What the frame adds to the answer's text; `''` for nothing. */
  text(frame: Frame): string;
  /** What else is in the frame: decides whether a stream without text is empty. */
  carries(frame: Frame): Carries;
}

/** What a built-in format is made of. */
export interface FormatDefinition {
  readonly name: string;
  readonly framing: Framing;
  readonly finishMarker: FinishMarker;
  /**
   * Regular expressions (their sources), one of which matches in every terminal and error frame, and none in many others. They
   * run over every chunk, so they begin with a letter that tells. A match that a cut may have hidden (a look-ahead at the end of
   * the text) must count as a match.
   */
  readonly prefilter: readonly string[];
  /** True for a payload with content of this format, or one that is a start or an end of its own; enough to choose it. */
  recognises(frame: Frame): boolean;
  /** Where its payloads have what. */
  fields(frame: Frame): FieldTable;
  /** The pieces of text that the frame adds. */
  texts(frame: Frame): readonly string[];
  /** Pieces of text that a frame repeats, of a part or of all: they are the text where none came before. */
  whole?(frame: Frame): readonly string[];
  /** True for the frame that tells a client that the answer is over: it is held. */
  terminal(frame: Frame): boolean;
  /** True for a frame after which the answer is whole if nothing follows, although it is not terminal. */
  ends?(frame: Frame): boolean;
  /** True for a frame that says that the answer failed. */
  failed(frame: Frame): boolean;
  /** Why the model stopped, in the provider's own word. */
  finishReason(frame: Frame): string | undefined;
  /** What the frame says of the tokens that the answer took; absent where the format never says it. */
  usage?(frame: Frame): TokenUsage | undefined;
}

/** A format that ships with lastchunk: it can be found by content, and knows more than a custom one must. */
export interface BuiltInFormat extends Format, FormatDefinition {
  terminal(frame: Frame): boolean;
  whole(frame: Frame): readonly string[];
  ends(frame: Frame): boolean;
  /** True for a frame that is part of a tool call. */
  toolCall(frame: Frame): boolean;
}

/** Makes a format of its tables: what a frame carries follows from the account of its leaves. */
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

/** What is looked into: the parsed payload, or the text that was none; nothing of `[DONE]`. */
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
