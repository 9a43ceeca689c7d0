/**
 * `id` lines for the frames of an event stream that have none. An id is the offset behind its frame in the body as it is sent, with
 * all ids: what `EventSource` sends as `Last-Event-ID` is where it goes on.
 */
import { Buffer } from 'node:buffer';
import { isPlain, isText } from '../../formats/index.ts';
import type { StreamEnvironment } from '../lifecycle/environment.ts';
import { EVENT_STREAM, type ResponseHead } from '../response/is-stream.ts';
import type { StreamSettings } from '../settings.ts';

/** A line end (HTML, server-sent events: CRLF, LF or CR). */
const LINE_END = /\r\n|\n|\r/g;

/** So much of a line shows whether it is an `id`. */
const FIELD_CHARS = 3;

/** The frames of one body, written in pieces cut anywhere. */
export class FrameIds {
  readonly #warnOnce: StreamEnvironment['warnOnce'];
  /** The handler's bytes are no text: something behind the guard compresses. */
  #isOff = false;
  /** Bytes of the body so far, with ids. */
  #bytes = 0;
  /** The beginning of the line that is open. */
  #line = '';
  /** How the last line ended. */
  #lineEnd = '\n';
  /** The next LF, if it comes at once, belongs to the CR before it. */
  #isAfterCr = false;
  /** The open frame has a line that is no comment. */
  #hasField = false;
  #hasId = false;

  constructor(warnOnce: StreamEnvironment['warnOnce']) {
    this.#warnOnce = warnOnce;
  }

  /** Takes the arguments of a `write` or `end`: the chunk among them becomes the one that goes out. */
  addTo(args: unknown[]): void {
    const [chunk, encoding] = args;
    if (chunk instanceof Uint8Array) args[0] = this.#addToBytes(chunk);
    else if (typeof chunk === 'string') args[0] = this.#addToString(chunk, encoding);
  }

  #addToString(chunk: string, encoding: unknown): string | Uint8Array {
    if (!isForeign(encoding)) return this.#addToText(chunk, byteLength);
    const bytes = Buffer.from(chunk, encoding);
    const written = this.#addToBytes(bytes);
    return written === bytes ? chunk : written;
  }

  /** One character for each byte: no line end is part of a longer character of UTF-8. */
  #addToBytes(chunk: Uint8Array): Uint8Array {
    if (this.#bytes === 0 && !isText(chunk, false)) {
      this.#isOff = true;
      warnOfNone(this.#warnOnce, 'its bytes are no text');
    }
    if (this.#isOff) return chunk;
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    const written = this.#addToText(text, ({ length }) => length);
    return written === text ? chunk : Buffer.from(written, 'latin1');
  }

  #addToText(text: string, sizeOf: (part: string) => number): string {
    if (text === '' || this.#isOff) return text;
    let written = '';
    let from = 0;
    let lineAt = 0;
    for (const { 0: end, index } of text.matchAll(LINE_END)) {
      const isRestOfCrlf = index === 0 && this.#isAfterCr && end === '\n';
      if (isRestOfCrlf) this.#lineEnd = '\r\n';
      else {
        this.#line += text.slice(lineAt, Math.min(index, lineAt + FIELD_CHARS));
        if (this.#line === '' && this.#hasField && !this.#hasId) {
          written += text.slice(from, index);
          this.#bytes += sizeOf(text.slice(from, index));
          const id = idLine(this.#bytes, this.#lineEnd, end.length);
          written += id;
          this.#bytes += id.length;
          from = index;
        }
        this.#endLine(end);
      }
      lineAt = index + end.length;
    }
    this.#line = (this.#line + text.slice(lineAt, lineAt + FIELD_CHARS)).slice(0, FIELD_CHARS);
    this.#isAfterCr = text.endsWith('\r');
    this.#bytes += sizeOf(text.slice(from));
    return written + text.slice(from);
  }

  #endLine(end: string): void {
    const line = this.#line.slice(0, FIELD_CHARS);
    this.#line = '';
    if (line === '') {
      if (this.#hasId) this.#warnOnce('own ids', OWN_IDS);
      this.#hasField = false;
      this.#hasId = false;
      return;
    }
    this.#lineEnd = end;
    if (line.startsWith(':')) return;
    this.#hasField = true;
    if (line === 'id' || line === 'id:') this.#hasId = true;
  }
}

/** The line that names the offset behind itself and the blank line that follows. */
function idLine(bytes: number, lineEnd: string, blankBytes: number): string {
  for (let id = bytes; ;) {
    const line = `id: ${id}${lineEnd}`;
    const behind = bytes + line.length + blankBytes;
    if (behind === id) return line;
    id = behind;
  }
}

function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

function isForeign(encoding: unknown): encoding is BufferEncoding {
  if (typeof encoding !== 'string' || !Buffer.isEncoding(encoding)) return false;
  return !/^utf-?8$/i.test(encoding);
}

/** What gives ids to the frames of a stream; `undefined` where they get none, which is said once where the option is set. */
export function frameIdsFor(
  settings: StreamSettings,
  environment: Pick<StreamEnvironment, 'warnOnce'>,
  head: ResponseHead,
): FrameIds | undefined {
  if (!settings.ids) return undefined;
  const why = whyNone(head);
  const warnOnce: StreamEnvironment['warnOnce'] = (key, message) =>
    environment.warnOnce(key, message);
  if (why === undefined) return new FrameIds(warnOnce);
  warnOfNone(warnOnce, why);
  return undefined;
}

function warnOfNone(warnOnce: StreamEnvironment['warnOnce'], why: string): void {
  warnOnce(`ids ${why}`, `frames of a stream get no ids: ${why}`);
}

const OWN_IDS =
  'a handler gives its frames ids of its own: they stay as they are, and resumeHandler() takes `Last-Event-ID` for an offset';

function whyNone({ contentType, contentEncoding, contentLength, charset }: ResponseHead) {
  if (contentType !== EVENT_STREAM) return 'it is no event stream';
  if (!isPlain(contentEncoding)) return 'its handler encodes the body';
  if (contentLength !== undefined) return 'its length was fixed before (Content-Length)';
  return charset === '' ? undefined : 'it is not in UTF-8';
}
