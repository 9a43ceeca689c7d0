/**
 * Cuts a body into frames. The text comes in pieces cut anywhere: what is before the last boundary is complete and can be parsed;
 * what is after it waits for the next piece. Lines end in LF here.
 */
import { createParser } from 'eventsource-parser';
import type { Frame } from './format.ts';
import { elementsIn, ElementScanner } from './elements.ts';
import { type Framed, RECORD_SEPARATOR } from './framing.ts';
import { parseJson } from './json.ts';
import { FrameSize, isTooLarge, LargeFrame, SMALL_FRAME_CHARS } from './large-frame.ts';

/** The index after the last frame boundary in `text`; 0 when there is none. Elements are found by their scanner. */
export function boundaryEnd(framing: Framed, text: string): number {
  if (framing === 'elements') return 0;
  if (framing !== 'sse') return text.lastIndexOf('\n') + 1;
  const at = text.lastIndexOf('\n\n');
  return at < 0 ? 0 : at + 2;
}

/** The same for a text whose lines end in LF, CRLF or CR. */
export function lastBoundaryEnd(framing: Framed, text: string): number {
  const ends = BOUNDARIES[framing === 'sse' ? 'sse' : 'lines'].map((boundary) => {
    // `includes` is ten times as fast as `lastIndexOf`, and one large frame has no line end.
    const at = text.includes(boundary.charAt(0)) ? text.lastIndexOf(boundary) : -1;
    return at < 0 ? 0 : at + boundary.length;
  });
  const end = Math.max(...ends);
  // The rest of a CRLF.
  return end > 0 && text[end - 1] === '\r' && text[end] === '\n' ? end + 1 : end;
}

/** Blank lines, and line ends. */
const BOUNDARIES = { sse: ['\n\n', '\r\r', '\n\r'], lines: ['\n', '\r'] } as const;

/** The index after the first frame boundary in `text`, which has one. */
function firstBoundaryEnd(framing: Framed, text: string): number {
  const boundary = framing === 'sse' ? '\n\n' : '\n';
  return text.indexOf(boundary) + boundary.length;
}

/** The frames of a text that ends on a boundary, each by itself. */
export function framesApart(framing: Framed, text: string): readonly string[] {
  if (text === '') return [];
  if (framing === 'elements') return elementsIn(text);
  const boundary = framing === 'sse' ? '\n\n' : '\n';
  const frames: string[] = [];
  let from = 0;
  for (let at = text.indexOf(boundary); at >= 0; at = text.indexOf(boundary, from)) {
    frames.push(text.slice(from, at + boundary.length));
    from = at + boundary.length;
  }
  if (from < text.length) frames.push(text.slice(from));
  return frames;
}

/** A frame, or a stray line: one that cannot be part of a frame. */
export type Found = Frame | { readonly stray: string };

/** True for a frame, false for a stray line. */
export function isFrame(found: Found): found is Frame {
  return !('stray' in found);
}

/** Every frame in `text`, which ends on a boundary. */
export function framesIn(framing: Framed, text: string): readonly Found[] {
  if (framing === 'sse') return eventsIn(text);
  if (framing === 'elements') return elementsIn(text).map(toElement);
  return linesIn(framing, text);
}

/** The frame and the stray lines after the last boundary, if the body ends here. */
export function unfinishedIn(framing: Framed, tail: string): readonly Found[] {
  if (tail === '') return [];
  const found = framesIn(framing, framing === 'elements' ? tail : `${tail}\n\n`);
  const last = found.at(-1);
  const isCutField =
    last !== undefined &&
    'stray' in last &&
    tail.endsWith(last.stray) &&
    FIELDS.some((field) => field.startsWith(last.stray));
  return (isCutField ? found.slice(0, -1) : found).map((one) =>
    isBroken(one) ? { stray: one.data } : one,
  );
}

/** Whether a payload is the beginning of JSON, or of `[DONE]`: it is not text, although it does not parse. */
function isBroken(found: Found): found is Frame {
  if (!isFrame(found) || found.json !== undefined) return false;
  const start = found.data.slice(0, 64).trimStart().charAt(0);
  return start !== '' && '[{"'.includes(start) && !/^\[\w{1,32}\]$/.test(found.data.trim());
}

/** The fields of an SSE frame. */
const FIELDS = ['data:', 'event:', 'id:', 'retry:'];

function eventsIn(text: string): readonly Found[] {
  // Most frames have one line.
  if (text.startsWith('data:') && text.indexOf('\n') === text.length - 2) {
    return [toFrame(text.slice(text.charAt(5) === ' ' ? 6 : 5, -2), undefined)];
  }
  const found: Found[] = [];
  const parser = createParser({
    onEvent: ({ data, event }) => found.push(toFrame(data, event)),
  });
  parser.feed(withBareEnd(withoutStrays(text, found)));
  return found;
}

/** A line of an SSE frame, or one without content: empty, a comment, `message:` as Flowise writes before each event. */
const FIELD_LINE = /^(?:$|:|(?:data|event|id|retry)(?::|$)|\w{1,32}:\s*$)/;

/**
 * Removes the lines that have no known field, and adds them to `found`. A client ignores them, but an answer that was written without
 * `data:` consists of such lines. The parser would create an error object for each.
 */
function withoutStrays(text: string, found: Found[]): string {
  const lines = text.split('\n');
  if (lines.every((line) => FIELD_LINE.test(line))) return text;
  const fields = lines.filter((line) => FIELD_LINE.test(line));
  for (const line of lines) if (!FIELD_LINE.test(line)) found.push({ stray: line });
  return fields.join('\n');
}

/** `event: end` and nothing else, as LangServe ends a stream. */
const BARE_END = /^(event: ?(?:end|done|complete))\n(?=\n)/gm;

/** Adds data to a bare end: by the standard, and so by the parser, an event without data is ignored, but many clients act on this one. */
function withBareEnd(text: string): string {
  return text.includes('event:') ? text.replace(BARE_END, '$1\ndata: [DONE]\n') : text;
}

function linesIn(framing: 'ndjson' | 'parts', text: string): readonly Found[] {
  const found: Found[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    if (framing === 'parts') found.push(toPart(line));
    else found.push(...framesOfLine(line.startsWith(RECORD_SEPARATOR) ? line.slice(1) : line));
  }
  return found;
}

/** A line is one frame, unless it consists of several objects. */
function framesOfLine(line: string): readonly Frame[] {
  const frame = toFrame(line, undefined);
  if (frame.json !== undefined || !line.startsWith('{') || !line.endsWith('}')) return [frame];
  const scanner = new ElementScanner();
  const objects = scanner.feed(line).map((text) => toFrame(text, undefined));
  const areAll = scanner.tail === '' && objects.every(({ json }) => json !== undefined);
  return areAll && objects.length > 1 ? objects : [frame];
}

/** Reads a line of a code, a colon and JSON. */
function toPart(line: string): Found {
  const json = line.charAt(1) === ':' ? parseJson(line.slice(2)) : undefined;
  return json === undefined
    ? { stray: line }
    : { data: line.slice(2), event: line.charAt(0), json };
}

/** A line between values is text; a broken value is a stray line. */
function toElement(text: string): Found {
  const frame = toFrame(text, undefined);
  const isBroken = frame.json === undefined && /^[[{"]/.test(text);
  return isBroken ? { stray: text } : frame;
}

function toFrame(data: string, event: string | undefined): Frame {
  return { data, event, json: parseJson(data) };
}

/** What is cut out of a body: a frame, or one that is too large to be parsed. */
export type Cut = string | LargeFrame;

/** Cuts a body at its boundaries: the frames before the last one are complete. */
export class Cutter {
  readonly #framing: Framed;
  readonly #scanner: ElementScanner | undefined;
  /** The incomplete frame: a rope. */
  #tail = '';
  /** The end of the incomplete frame as a flat string, because searching a rope copies it. */
  #overlap = '';
  /** The cost of the incomplete frame, once it is not small. */
  #size: FrameSize | undefined;
  /** The beginning of the incomplete frame as a flat string. */
  #beginning = '';

  constructor(framing: Framed) {
    this.#framing = framing;
    this.#scanner = framing === 'elements' ? new ElementScanner() : undefined;
  }

  /** The incomplete frame. */
  get tail(): Cut {
    return this.#asCut(this.#open);
  }

  /** No frame is incomplete. */
  get isBetween(): boolean {
    return this.#open === '';
  }

  /** Takes the next piece; returns the frames that end in it, each by itself. */
  feed(piece: string): readonly Cut[] {
    const before = this.#open.length;
    const frames = this.#scanner?.feed(piece) ?? this.#cut(piece);
    const [first] = frames;
    if (first === undefined) {
      this.#measure(piece);
      return frames;
    }
    // The first frame may have begun many pieces ago.
    this.#size?.feed(piece.slice(0, Math.max(0, first.length - before)));
    const cuts =
      this.#size === undefined
        ? frames.map(cutOf)
        : [this.#asCut(first), ...frames.slice(1).map(cutOf)];
    this.#size = undefined;
    this.#measure(this.#open);
    return cuts;
  }

  get #open(): string {
    return this.#scanner?.tail ?? this.#tail;
  }

  /** The frames of all framings but `elements`. */
  #cut(piece: string): readonly string[] {
    // Only the overlap and the new piece can hold a new boundary; looking at all of the tail would be quadratic.
    const window = this.#overlap + piece;
    const end = boundaryEnd(this.#framing, window);
    if (end === 0) {
      this.#tail += piece;
      this.#overlap = window.slice(-OVERLAP_CHARS);
      return [];
    }
    const seen = this.#overlap.length;
    const first = firstBoundaryEnd(this.#framing, window);
    const frame = this.#tail + piece.slice(0, first - seen);
    const others = framesApart(this.#framing, piece.slice(first - seen, end - seen));
    this.#tail = piece.slice(end - seen);
    this.#overlap = this.#tail.slice(-OVERLAP_CHARS);
    return others.length === 0 ? [frame] : [frame, ...others];
  }

  /** Adds up the cost of the incomplete frame, once it is not small. */
  #measure(piece: string): void {
    const open = this.#open;
    if (this.#size !== undefined) return this.#size.feed(piece);
    if (open.length <= SMALL_FRAME_CHARS) return;
    this.#beginning = open.slice(0, SMALL_FRAME_CHARS);
    this.#size = new FrameSize();
    this.#size.feed(open);
  }

  #asCut(text: string): Cut {
    return this.#size?.isTooLarge === true ? new LargeFrame(text, this.#beginning) : text;
  }
}

function cutOf(frame: string): Cut {
  return isTooLarge(frame) ? new LargeFrame(frame, frame) : frame;
}

/** A boundary has at most two characters, and the last of them is new. */
const OVERLAP_CHARS = 1;
