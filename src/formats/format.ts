/**
 * What lastchunk has to know of a wire format, and nothing more: is this frame the end, what text does
 * it add, does it carry anything at all. Formats are pure functions over one frame, so that watching a
 * live stream and reading a finished body cannot disagree.
 */

/** One payload of a stream: an SSE event, or a line of NDJSON. */
export interface Frame {
  /** As it stood on the wire; the `data:` lines of one SSE event are joined by `\n`. */
  readonly data: string;
  /** The `event:` of an SSE frame. */
  readonly event: string | undefined;
  /** `data` parsed, or `undefined` where it is not JSON. */
  readonly json: unknown;
}

/**
 * What a frame carries. `nothing` is a claim (heartbeat, role, usage, start and finish frames): a stream of
 * nothing else is not saved. A format that does not know a frame must say `unknown`, never `nothing`.
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
  readonly framing: Framing;
  readonly finishMarker: FinishMarker;
  /**
   * Short strings, one of which every terminal frame and every error frame contains as it stands on the wire.
   * A chunk without any of them is not parsed while it passes. Absent: every chunk is parsed.
   */
  readonly needles?: readonly string[];
  /** True for the frame that tells a client that the answer is over. */
  terminal(frame: Frame): boolean;
  /** What the frame adds to the answer's text; `''` for nothing. */
  text(frame: Frame): string;
  carries(frame: Frame): Carries;
}

/** A format that ships with lastchunk: it can be found by content, and knows more than a custom one must. */
export interface BuiltInFormat extends Format {
  /**
   * In place of `needles`, regular expressions (their sources), one of which matches in every terminal and error
   * frame, and none in many others. They run over every chunk, so they begin with a letter that tells. A match
   * that a cut may have hidden (a look-ahead at the end of the text) must count as a match.
   */
  readonly prefilter: readonly string[];
  /** True for a payload that this format alone would send; enough to choose it. */
  recognises(frame: Frame): boolean;
  /** True for a frame that is part of a tool call. */
  toolCall(frame: Frame): boolean;
  /** Why the model stopped, in the provider's own word. */
  finishReason(frame: Frame): string | undefined;
}
