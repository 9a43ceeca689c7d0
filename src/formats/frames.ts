/**
 * Cutting a body into frames. Everything here works on text that came in pieces cut anywhere: it finds the
 * last boundary, so that what is before it can be parsed for good and what is after it waits.
 */
import { createParser } from 'eventsource-parser';
import { asBuiltIn, FALLBACK } from './registry.ts';
import type { Format, Frame, Framing } from './format.ts';
import { gemini } from './vendors/gemini.ts';
import { rowOf } from './json.ts';
import { isRecord } from '../core/values.ts';

/** How a body is cut: `json-array` is not to be chosen, it follows from the format and the content type. */
export type BodyFraming = Framing | 'json-array';

/** Framings that have frames. */
export type Framed = Exclude<BodyFraming, 'text'>;

/** Content types that say how their body is framed. `application/json` is one line, or several. */
const BY_CONTENT_TYPE: Readonly<Record<string, Framing>> = {
  'text/event-stream': 'sse',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/json-seq': 'ndjson',
  'application/json': 'ndjson',
};

/**
 * How the body is framed; `undefined` where only its first line can tell. A custom format and the generic
 * ones mean what they say. A vendor's payloads are met in both framings, so there the content type decides
 * where it says anything.
 */
export function framingFor(
  format: Format | undefined,
  contentType: string,
): BodyFraming | undefined {
  const told = rowOf(BY_CONTENT_TYPE, contentType);
  // `streamGenerateContent` without `alt=sse`: one array, an element at a time.
  if (format === gemini && contentType === 'application/json') return 'json-array';
  if (format === undefined) return told ?? (contentType.startsWith('text/') ? 'text' : undefined);
  const fixed = asBuiltIn(format) === undefined || format === FALLBACK[format.framing];
  return fixed ? format.framing : (told ?? format.framing);
}

/** A body without any sign of its framing after so many characters is text. */
const SNIFF_CHARS = 65_536;

/** The framing that the first lines show, or `undefined` while they show none yet. */
export function sniff(head: string): Framing | undefined {
  const lines = withoutMark(head).split(/\r\n|\n|\r/);
  const unfinished = lines.pop() ?? '';
  for (const line of lines) {
    // Comments and settings come before the first event, and prove nothing: a text may begin with a colon.
    if (line === '' || /^(?::|id:|retry:)/.test(line)) continue;
    if (/^(?:data|event):/.test(line)) return 'sse';
    return isRecord(parseJson(line)) ? 'ndjson' : 'text';
  }
  if (/^(?:data|event):/.test(unfinished)) return 'sse';
  const open = /^(?:\{|:|id:|retry:)/.test(unfinished) || isStartOfField(unfinished);
  return open && head.length < SNIFF_CHARS ? undefined : 'text';
}

/** A cut line that may still become a field of an SSE frame. */
function isStartOfField(line: string): boolean {
  return ['data:', 'event:', 'id:', 'retry:'].some((field) => field.startsWith(line));
}

/** The index behind the last frame boundary in `text`; 0 when there is none. */
export function boundaryEnd(framing: Framed, text: string): number {
  if (framing === 'ndjson') return text.lastIndexOf('\n') + 1;
  if (framing === 'json-array') return elementEnd(text);
  if (text.includes('\r')) return blankLineEnd(text);
  const at = text.lastIndexOf('\n\n');
  return at < 0 ? 0 : at + 2;
}

/**
 * A line that begins with a closing brace ends an element: what is inside of one is indented, and a string holds no line
 * end. An array written otherwise has no boundary but its end, and is read whole.
 */
function elementEnd(text: string): number {
  const at = Math.max(text.lastIndexOf('\n}\n'), text.lastIndexOf('\n}\r\n'));
  return at < 0 ? 0 : text.indexOf('\n', at + 1) + 1;
}

const LF = 10;
const CR = 13;

/**
 * The same where lines end in CRLF or CR. A final CR counts: if it turns out to be half of a CRLF, the other half
 * only begins the next frame with an empty line.
 */
function blankLineEnd(text: string): number {
  for (let end = text.length; end > 1; end--) {
    const last = text.charCodeAt(end - 1);
    if (last !== LF && last !== CR) continue;
    const start = last === LF && text.charCodeAt(end - 2) === CR ? end - 2 : end - 1;
    const before = text.charCodeAt(start - 1);
    if (before === LF || before === CR) return end;
  }
  return 0;
}

/**
 * The frames of a text that ends on a boundary, each by itself as far as its boundaries can be seen without reading it.
 * What comes in a few large pieces, because its reader was slow, is then looked at frame by frame all the same.
 */
export function framesApart(framing: Framed, text: string): readonly string[] {
  if (text === '') return [];
  if (framing === 'json-array' || text.includes('\r')) return [text];
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

/** What is found where a frame is looked for: a frame, or a line that no frame can hold. */
export type Found = Frame | { readonly stray: string };

/** True for a frame, false for a stray line. */
export function isFrame(found: Found): found is Frame {
  return !('stray' in found);
}

/** Every frame in `text`, which ends on a boundary. */
export function framesIn(framing: Framed, text: string): readonly Found[] {
  const bare = withoutMark(text);
  if (framing === 'json-array') return elementsIn(bare);
  return framing === 'sse' ? eventsIn(bare) : linesIn(bare);
}

/** What is found behind the last boundary if the body is cut here: one frame, and strays. */
export function unfinishedIn(framing: Framed, tail: string): readonly Found[] {
  if (tail === '') return [];
  const found = framesIn(framing, `${tail}\n\n`);
  const last = found.at(-1);
  const cutField =
    last !== undefined &&
    'stray' in last &&
    tail.endsWith(last.stray) &&
    isStartOfField(last.stray);
  return cutField ? found.slice(0, -1) : found;
}

function eventsIn(text: string): readonly Found[] {
  const found: Found[] = [];
  const parser = createParser({
    onEvent: ({ data, event }) => found.push(toFrame(data, event)),
    // A line without a known field: a client ignores it, but an answer written without `data:` is all such lines.
    onError: ({ type, line }) => {
      if (type === 'unknown-field' && line !== undefined) found.push({ stray: line });
    },
  });
  // The parser waits behind a CR for its LF; here it is known that the line is over.
  parser.feed(withBareEnd(text.endsWith('\r') ? `${text}\n` : text));
  return found;
}

/** `event: end` and nothing else, as LangServe ends a stream. */
const BARE_END = /^(event: ?end)(\r\n|\n|\r)(?=\r\n|\n|\r)/gm;

/** An event without data is none to the standard, and so to the parser; but clients that read lines act on this one. */
function withBareEnd(text: string): string {
  return text.includes('event:') ? text.replace(BARE_END, '$1$2data: [DONE]$2') : text;
}

/** RFC 7464 (`application/json-seq`) puts it before each text. */
const RECORD_SEPARATOR = '\u001e';

function linesIn(text: string): readonly Found[] {
  const found: Found[] = [];
  for (const line of text.split('\n')) {
    const data = (line.startsWith(RECORD_SEPARATOR) ? line.slice(1) : line).replace(/\r$/, '');
    if (data.trim() !== '') found.push(toFrame(data, undefined));
  }
  return found;
}

/** Elements of an array, with the brackets and commas around them or without. */
function elementsIn(text: string): readonly Found[] {
  const inside = text.replace(/^[\s,]*\[?[\s,]*/, '').replace(/[\s,]*\]?\s*$/, '');
  if (inside === '') return [];
  const elements = parseJson(`[${inside}]`);
  if (!Array.isArray(elements)) return [{ stray: inside }];
  return elements.map((json: unknown) => ({
    data: JSON.stringify(json),
    event: undefined,
    json,
  }));
}

function toFrame(data: string, event: string | undefined): Frame {
  return { data, event, json: parseJson(data) };
}

/** The parsed value, or `undefined` for what is not JSON. */
function parseJson(text: string): unknown {
  // The one that comes in every other stream: an exception costs as much as parsing fifty frames.
  if (text === '[DONE]') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is an answer, not a failure: many streams send bare text.
    return undefined;
  }
}

/** Without the byte order mark, which clients drop too. */
function withoutMark(head: string): string {
  return head.charCodeAt(0) === 0xfeff ? head.slice(1) : head;
}
