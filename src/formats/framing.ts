/**
 * Finds how a body is framed. The content type names a framing, but the first lines of the body decide, because proxies and handlers
 * often set a wrong content type.
 */
import { asBuiltIn } from './registry.ts';
import type { Format, Framing } from './format.ts';
import { ElementScanner } from './elements.ts';
import { parseJson, rowOf } from './json.ts';
import { isRecord } from '../core/values.ts';

/**
 * How a body is cut. `elements`: JSON values in a sequence or in an array. `parts`: lines of a code and JSON, as versions 3 and 4 of
 * the AI SDK write them. These two cannot be chosen by a format: they are detected from the body.
 */
export type BodyFraming = Framing | 'elements' | 'parts';

/** Framings that have frames. */
export type Framed = Exclude<BodyFraming, 'text'>;

/** The framing by content type. */
const BY_CONTENT_TYPE: Readonly<Record<string, BodyFraming>> = {
  'text/event-stream': 'sse',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/jsonlines': 'ndjson',
  'application/x-jsonlines': 'ndjson',
  'application/json-seq': 'ndjson',
  'application/stream+json': 'ndjson',
  'application/x-json-stream': 'ndjson',
  'application/json': 'elements',
};

/** Types whose bodies are text, whatever they look like. */
const TEXT_TYPES: ReadonlySet<string> = new Set(['text/markdown', 'text/html']);

/**
 * The framing that a body is declared to have. With a custom format or plain text it is certain; every other format can be read in any
 * framing, so the content type decides, if it names one.
 */
export function declaredFraming(
  format: Format | undefined,
  contentType: string,
): { readonly framing: BodyFraming | undefined; readonly certain: boolean } {
  if (format !== undefined && (asBuiltIn(format) === undefined || format.framing === 'text')) {
    return { framing: format.framing, certain: true };
  }
  if (format === undefined && TEXT_TYPES.has(contentType))
    return { framing: 'text', certain: true };
  return { framing: rowOf(BY_CONTENT_TYPE, contentType) ?? format?.framing, certain: false };
}

/** The first field of an event stream comes within `MAX_HEAD_CHARS`; one line of JSON may have `MAX_LINE_CHARS`. */
const MAX_HEAD_CHARS = 4_096;
const MAX_LINE_CHARS = 65_536;
/** This much of a line is enough to see how it begins. */
const PREFIX_CHARS = 64;
/** How often an incomplete line is parsed, to see whether it is already a whole object. */
const MAX_TRIES = 8;

/** Finds the framing of a body. It takes the body piece by piece, without its byte order mark, and looks at each character once. */
export class Sniffer {
  /** The framing by the content type or the format. */
  readonly declared: BodyFraming | undefined;
  readonly #isEager: boolean;
  readonly #lineEnds = new LineEnds();
  /** The incomplete line: a rope; below, its beginning. */
  #line = '';
  #start = '';
  /** The beginning of the line was judged, and no longer changes. */
  #isJudged = false;
  #chars = 0;
  #tries = MAX_TRIES;
  /** The framing by the first line that is not a field, where an event stream was declared. */
  #otherwise: BodyFraming | undefined;

  /** `isEager`: for a live stream, whose framing must be known before the line ends. */
  constructor(declared: BodyFraming | undefined, isEager = false) {
    this.declared = declared;
    this.#isEager = isEager;
  }

  /** Takes the next piece; returns the framing once it is known. */
  feed(piece: string): BodyFraming | undefined {
    const text = this.#lineEnds.normalise(piece);
    let from = 0;
    this.#chars += text.length;
    for (let at = text.indexOf('\n', from); at >= 0; at = text.indexOf('\n', from)) {
      const framing = this.#lineSays(this.#line + text.slice(from, at));
      if (framing !== undefined) return framing;
      this.#line = '';
      this.#start = '';
      this.#isJudged = false;
      from = at + 1;
    }
    const rest = text.slice(from);
    this.#line += rest;
    if (this.#start.length < PREFIX_CHARS) this.#start += rest.slice(0, PREFIX_CHARS);
    return this.#openLineSays(rest) ?? this.#limitSays();
  }

  /** The framing of a body that ends here. */
  end(): BodyFraming {
    const isCutField = FIELDS.some((field) => this.#line !== '' && field.startsWith(this.#line));
    const says = isCutField && this.declared === 'sse' ? undefined : this.#lineSays(this.#line);
    return says ?? this.#otherwise ?? (this.declared === undefined ? 'text' : this.declared);
  }

  #lineSays(line: string): BodyFraming | undefined {
    if (line === '') return undefined;
    if (/^(?:data|event):/.test(line)) return 'sse';
    // Comments, `id` and `retry` may precede the first event, but do not prove it: a text may begin with a colon.
    if (/^(?::|id:|retry:)/.test(line)) {
      if (this.declared !== 'sse') this.#otherwise ??= 'text';
      return undefined;
    }
    const kind = kindOfLine(line, this.declared);
    if (this.declared !== 'sse') return kind;
    this.#otherwise ??= kind;
    return undefined;
  }

  /** The framing that an incomplete line already shows. */
  #openLineSays(piece: string): BodyFraming | undefined {
    const start = this.#start;
    if (/^(?:data|event):/.test(start)) return 'sse';
    if (this.declared === 'elements' && /^\s*(?:\{\s*["}]|\[\s*[[{])/.test(start))
      return 'elements';
    const isJudged = this.#isJudged;
    this.#isJudged = start.length >= PREFIX_CHARS;
    if (this.declared !== 'sse' && start !== '' && !isJudged && !mayBecomeAnything(start)) {
      return this.declared === 'ndjson' ? 'ndjson' : (this.#otherwise ?? 'text');
    }
    const mayClose = start.startsWith('{') && piece.includes('}');
    if (!mayClose || this.#tries === 0 || this.declared === 'sse') return undefined;
    this.#tries -= 1;
    const [first] = new ElementScanner().feed(this.#line);
    if (first === undefined || !isRecord(parseJson(first))) return undefined;
    // If nothing follows on the line it is NDJSON; for a live stream that cannot be awaited.
    return this.#isEager || this.#line.trim() !== first.trim() ? 'elements' : undefined;
  }

  #limitSays(): BodyFraming | undefined {
    const isLong = this.#chars > MAX_LINE_CHARS;
    if (this.#chars <= MAX_HEAD_CHARS || (!isLong && this.#line.length > MAX_HEAD_CHARS)) {
      return undefined;
    }
    if (this.#otherwise !== undefined) return this.#otherwise;
    if (this.declared === 'sse') return isLong ? this.end() : undefined;
    return isLong ? this.end() : undefined;
  }
}

const FIELDS = ['data:', 'event:', 'id:', 'retry:'];
/** RFC 7464 (`application/json-seq`) puts it before each text. */
export const RECORD_SEPARATOR = '\u001e';

/** Whether a cut line may still become a field, a line of JSON or a part of the AI SDK. */
function mayBecomeAnything(start: string): boolean {
  if (/^(?:\s*$|:|id:|retry:)/.test(start) || start.startsWith(RECORD_SEPARATOR)) return true;
  if (FIELDS.some((field) => field.startsWith(start))) return true;
  return (
    /^\s*(?:\{\s*(?:["}]|$)|\[\s*(?:[[{\]]|$))/.test(start) ||
    /^[0-9a-k](?:$|:(?:$|["[{]))/.test(start)
  );
}

function kindOfLine(line: string, declared: BodyFraming | undefined): BodyFraming {
  const otherwise = declared === 'ndjson' ? 'ndjson' : 'text';
  const first = line.trimStart().charAt(0);
  if (first === RECORD_SEPARATOR) return 'ndjson';
  if (first === '{') {
    if (isRecord(parseJson(line))) return declared === 'elements' ? 'elements' : 'ndjson';
    return /^\s*\{\s*(?:["}]|$)/.test(line.slice(0, PREFIX_CHARS)) ? 'elements' : otherwise;
  }
  if (first === '[') {
    if (declared === 'ndjson') return 'ndjson';
    return /^\s*\[\s*(?:[[{]|$)/.test(line.slice(0, PREFIX_CHARS)) ? 'elements' : otherwise;
  }
  if (/^[0-9a-k]:["[{]/.test(line) && parseJson(line.slice(2)) !== undefined) return 'parts';
  return otherwise;
}

/**
 * The beginning of a body without the byte order mark, which clients drop there (WHATWG Encoding, "UTF-8 decode") and nowhere else: later
 * the same character belongs to a line or a text.
 */
export function withoutMark(head: string): string {
  return head.charCodeAt(0) === BYTE_ORDER_MARK ? head.slice(1) : head;
}

const BYTE_ORDER_MARK = 0xfeff;

/** Turns CRLF and CR into LF, in text that comes in pieces cut anywhere. */
export class LineEnds {
  /** The last character was a CR: a LF that follows belongs to it. */
  #hasCr = false;

  /** Skips a piece that is not inspected. */
  skip(piece: string): void {
    if (piece !== '') this.#hasCr = piece.endsWith('\r');
  }

  normalise(piece: string): string {
    if (!this.#hasCr && !piece.includes('\r')) return piece;
    const rest = this.#hasCr && piece.startsWith('\n') ? piece.slice(1) : piece;
    if (piece !== '') this.#hasCr = piece.endsWith('\r');
    return rest.replace(/\r\n?/g, '\n');
  }
}
