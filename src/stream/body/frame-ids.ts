/**
 * Adds `id` lines to the frames of an event stream that have none. An id is the offset of the end of its frame in the body as it is
 * sent, with all ids: an `EventSource` sends it as `Last-Event-ID`, and resumes there.
 */
import { Buffer } from 'node:buffer';
import { isPlain, isText } from '../../formats/index.ts';
import type { StreamEnvironment } from '../lifecycle/environment.ts';
import { EVENT_STREAM, type ResponseHead } from '../response/is-stream.ts';
import type { StreamSettings } from '../settings.ts';

/** A line end (HTML, server-sent events: CRLF, LF or CR). */
const LINE_END = /\r\n|\n|\r/g;

/** The first characters of a line that show whether it is an `id`. */
const FIELD_CHARS = 3;

/** Adds ids to the frames of one body, whose chunks may split frames anywhere. */
export class FrameIds {
  readonly #warnOnce: StreamEnvironment['warnOnce'];
  /** The chunks are not text: something behind the guard compresses. */
  #isOff = false;
  /** Bytes of the body so far, with ids. */
  #bytes = 0;
  /** The beginning of the line that is open. */
  #line = '';
  /** How the last line ended. */
  #lineEnd = '\n';
  /** The last character was CR: an LF that follows at once belongs to it. */
  #isAfterCr = false;
  /** The open frame has a line that is not a comment. */
  #hasField = false;
  #hasId = false;

  constructor(warnOnce: StreamEnvironment['warnOnce']) {
    this.#warnOnce = warnOnce;
  }

  /** Takes the arguments of a `write` or `end`, and replaces the chunk with the one to send. */
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

  /** Reads each byte as one character: in UTF-8, the byte of a line end is never part of a longer character. */
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

/** The `id` line whose number is the offset after this line and the blank line that follows. */
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

/** The `FrameIds` of a stream; `undefined` where its frames get no ids, which is logged once where the option is set. */
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
