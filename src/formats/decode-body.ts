/**
 * Undoes the Content-Encoding of a body that the handler encoded itself (proxies pass such bodies on). A large one goes in steps, so
 * that nobody waits for it, and what came before a damage is kept. A small body may not become a huge one.
 */
import type { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import * as zlib from 'node:zlib';
import { member } from './json.ts';

/** What became of an encoded body. */
export interface DecodedBody {
  readonly text: string;
  /**
   * Bytes that are not in `text`, 0 when all are: encoded ones that were damaged or not decoded for want of
   * room, and decoded ones over `maxBytes`. What a bomb would have grown to is never found out.
   */
  readonly dropped: number;
  /** The bytes as they are, where nothing could be decoded and they are no text either. */
  readonly undecodable: Uint8Array | undefined;
}

/** A header with more codings than these is none that anybody means; the rest stays encoded. */
const MAX_CODINGS = 5;

/** The codings that a body can be in (RFC 9110, section 8.4.1; RFC 8878). Every other word says nothing about its bytes. */
const CODINGS: ReadonlySet<string> = new Set([
  'gzip',
  'x-gzip',
  'deflate',
  'br',
  'zstd',
  'compress',
]);

/** Whether a `Content-Encoding` names a coding; `identity`, `none`, `utf-8` and `chunked` are none. */
export function isEncoded(contentEncoding: string): boolean {
  return contentEncoding !== '' && codingsOf(contentEncoding).length > 0;
}

/** Whether a `Content-Encoding` claims nothing. */
export function isPlain(contentEncoding: string): boolean {
  return contentEncoding === '' || contentEncoding === 'identity';
}

function codingsOf(contentEncoding: string): readonly string[] {
  const names = contentEncoding.split(',').map((name) => name.trim().toLowerCase());
  return names.filter((name) => CODINGS.has(name)).slice(-MAX_CODINGS);
}

/** Encoded bytes that are decoded at once, and what they may become; more is decoded in steps. */
const MAX_AT_ONCE_BYTES = 65_536;
const MAX_AT_ONCE_OUTPUT = 262_144;

/** Decodes a body at once, like `decodeBody`; `undefined` where that would take long, or where it is damaged. Never throws. */
export function decodeAtOnce(
  pieces: readonly (string | Uint8Array)[],
  contentEncoding: string,
  maxBytes: number,
): DecodedBody | undefined {
  let length = 0;
  for (const piece of pieces) {
    length += piece.length;
    if (length > MAX_AT_ONCE_BYTES) return undefined;
  }
  const body = bytesOf(pieces);
  let bytes: Uint8Array = body;
  for (const coding of codingsFor(body, contentEncoding)) {
    const decoded = inflateAtOnce(bytes, coding, Math.min(maxBytes, MAX_AT_ONCE_OUTPUT));
    if (decoded === undefined) return undefined;
    bytes = decoded;
  }
  return isText(bytes) ? toText(bytes, 0, maxBytes) : undefined;
}

/**
 * Decodes a body to at most `maxBytes` bytes of UTF-8. `contentEncoding` is the header's value; what the bytes contradict is not
 * done. It goes in steps on zlib's own threads. Never rejects.
 */
export async function decodeBody(
  pieces: readonly (string | Uint8Array)[],
  contentEncoding: string,
  maxBytes: number,
): Promise<DecodedBody> {
  const body = bytesOf(pieces);
  let bytes: Uint8Array = body;
  let dropped = 0;
  for (const coding of codingsFor(body, contentEncoding)) {
    const decoded = await inflate(bytes, coding, maxBytes);
    if (decoded.isDamaged && decoded.used === 0 && isText(bytes)) continue;
    dropped += bytes.length - decoded.used;
    bytes = decoded.bytes;
  }
  const isLost = dropped > 0 && bytes.length === 0;
  if (isLost || !isText(bytes)) return { text: '', dropped: body.length, undecodable: body };
  return toText(bytes, dropped, maxBytes);
}

function bytesOf(pieces: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)),
  );
}

function toText(bytes: Uint8Array, dropped: number, maxBytes: number): DecodedBody {
  const over = Math.max(0, bytes.length - maxBytes);
  // `write` alone leaves out a character that was cut at the end.
  const text = new StringDecoder('utf8').write(Buffer.from(bytes.subarray(0, maxBytes)));
  return { text, dropped: dropped + over, undecodable: undefined };
}

/** Codings in the order in which they are undone. Without a header the bytes say: compression behind the guard names it late. */
function codingsFor(body: Uint8Array, contentEncoding: string): readonly string[] {
  const named = codingsOf(contentEncoding).toReversed();
  // A name that nobody knows says that the bytes are something else.
  if (named.length > 0 || !isPlain(contentEncoding) || isText(body)) return named;
  const magic = MAGIC.find(([first]) => first.every((byte, at) => body[at] === byte));
  // Brotli has no mark of its own.
  return [magic?.[1] ?? (hasZlibHeader(body) ? 'deflate' : 'br')];
}

/** How a coding begins (RFC 1952, section 2.3.1; RFC 8878, section 3.1.1). */
const MAGIC: readonly (readonly [readonly number[], string])[] = [
  [[0x1f, 0x8b], 'gzip'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd'],
];

const SAMPLE_BYTES = 1_024;
/** Of so many characters one may be none, in a text of a handler that cut one. */
const TEXT_SHARE = 8;

// oxlint-disable-next-line no-control-regex -- they are what stands in no text
const CONTROL = /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/;

/** Whether bytes are text, as far as their beginning shows. `strict`: one control character is too many. */
export function isText(bytes: Uint8Array, strict = false): boolean {
  if (MAGIC.some(([first]) => first.every((byte, at) => bytes[at] === byte))) return false;
  const sample = new StringDecoder('utf8').write(Buffer.from(bytes.subarray(0, SAMPLE_BYTES)));
  if (strict && CONTROL.test(sample)) return false;
  const broken = sample.split('\ufffd').length - 1;
  return broken === 0 || broken * TEXT_SHARE < sample.length;
}

/** What was decoded, and how much of the input it took. */
interface Part {
  readonly bytes: Uint8Array;
  readonly used: number;
  readonly isDamaged: boolean;
}

/** Bytes of input in a step; where one fails, what is in it is decoded anew in smaller ones, down to one. */
const STEPS = [16_384, 256, 1];

async function inflate(bytes: Uint8Array, coding: string, maxBytes: number): Promise<Part> {
  let best: Part = { bytes: new Uint8Array(), used: 0, isDamaged: true };
  for (const size of STEPS) {
    const part = await inflateBy(size, bytes, best.used, { coding, maxBytes });
    if (part === undefined) return best;
    if (part.used >= best.used) best = part;
    if (part.used === bytes.length || part.bytes.length > maxBytes) break;
  }
  // zlib takes a first byte of anything: that is not decoding.
  return best.bytes.length === 0 && best.isDamaged ? { ...best, used: 0 } : best;
}

interface Limits {
  readonly coding: string;
  readonly maxBytes: number;
}

/** Decodes what is known to be sound, and goes on from there in steps of `size` bytes until one fails. */
async function inflateBy(
  size: number,
  bytes: Uint8Array,
  sound: number,
  { coding, maxBytes }: Limits,
): Promise<Part | undefined> {
  const stream = decoderOf(coding, bytes);
  if (stream === undefined) return undefined;
  const parts: Uint8Array[] = [];
  let length = 0;
  let used = 0;
  stream.on('data', (part: Uint8Array) => {
    parts.push(part);
    length += part.length;
    if (length > maxBytes) stream.destroy();
  });
  // What went wrong is what `write` says.
  stream.on('error', () => undefined);
  while (used < bytes.length && length <= maxBytes) {
    const end = Math.min(bytes.length, used < sound ? sound : used + size);
    if (!(await writeTo(stream, bytes.subarray(used, end)))) break;
    used = end;
  }
  stream.destroy();
  const isDamaged = used < bytes.length && length <= maxBytes;
  return { bytes: Buffer.concat(parts), used, isDamaged };
}

/** False for a step that is damaged, or of which nobody wants the rest. */
function writeTo(stream: Transform, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    stream.once('close', () => resolve(false));
    stream.write(bytes, (error) => {
      stream.removeAllListeners('close');
      // What it gave is told before the next turn.
      setImmediate(() => resolve(error === undefined || error === null));
    });
  });
}

/** Flushing at each step gives what is there, also of a stream that was cut. */
const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;

function decoderOf(coding: string, bytes: Uint8Array): Transform | undefined {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return zlib.createGunzip({ flush: Z_SYNC_FLUSH });
    case 'deflate':
      return hasZlibHeader(bytes)
        ? zlib.createInflate({ flush: Z_SYNC_FLUSH })
        : zlib.createInflateRaw({ flush: Z_SYNC_FLUSH });
    case 'br':
      return zlib.createBrotliDecompress({ flush: BROTLI_OPERATION_FLUSH });
    case 'zstd':
      return zstd('createZstdDecompress', 'flush', undefined) as Transform | undefined;
    default:
      return undefined;
  }
}

/** `undefined` for what is damaged, too large, or not known to this Node. */
function inflateAtOnce(
  bytes: Uint8Array,
  coding: string,
  maxOutputLength: number,
): Uint8Array | undefined {
  const options = { finishFlush: Z_SYNC_FLUSH, maxOutputLength };
  try {
    switch (coding) {
      case 'gzip':
      case 'x-gzip':
        return zlib.gunzipSync(bytes, options);
      case 'deflate':
        return (hasZlibHeader(bytes) ? zlib.inflateSync : zlib.inflateRawSync)(bytes, options);
      case 'br':
        return zlib.brotliDecompressSync(bytes, {
          finishFlush: BROTLI_OPERATION_FLUSH,
          maxOutputLength,
        });
      case 'zstd':
        return zstd('zstdDecompressSync', 'finishFlush', bytes) as Uint8Array | undefined;
      default:
        return undefined;
    }
  } catch {
    // The steps find out how far it is sound.
    return undefined;
  }
}

/** Node has zstd from 22.15 and 23.8 on; the types are those of the oldest. */
function zstd(name: string, flushOption: string, bytes: Uint8Array | undefined): unknown {
  const make = member(zlib, name);
  const flush = member(zlib.constants, 'ZSTD_e_flush');
  if (typeof make !== 'function') return undefined;
  const options = { [flushOption]: flush };
  return Reflect.apply(make, undefined, bytes === undefined ? [options] : [bytes, options]);
}

/** `deflate` means zlib's container, but some servers send it bare. RFC 1950 2.2: method 8, checked modulo 31. */
function hasZlibHeader(bytes: Uint8Array): boolean {
  const [method = 0, flags = 0] = bytes;
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
}

/** Decodes text that comes in pieces of bytes, in a charset (WHATWG Encoding); UTF-8 for none, and for one that is unknown. */
export function textDecoderFor(charset: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset === '' ? 'utf-8' : charset, { ignoreBOM: true });
  } catch {
    // A label that no standard knows: most such bodies are UTF-8.
    return new TextDecoder('utf-8', { ignoreBOM: true });
  }
}
