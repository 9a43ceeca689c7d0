/**
 * Decodes the Content-Encoding of a body that the handler encoded itself (proxies pass such bodies on). A large body is decoded in
 * steps, so that the event loop is not blocked; what precedes damaged bytes is kept. The decoded size is bounded.
 */
import { StringDecoder } from 'node:string_decoder';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasZlibHeader, inflate, inflateAtOnce, isCodingOfNothing } from './inflate.ts';

/** The result of decoding a body. */
export interface DecodedBody {
  readonly text: string;
  /**
   * Bytes that are not in `text`, 0 when all are: encoded bytes that were damaged or not decoded because of the limit, and
   * decoded bytes over `maxBytes`. The full size of a decompression bomb is never computed.
   */
  readonly dropped: number;
  /** The encoded bytes, where nothing could be decoded and they are not text. */
  readonly undecodable: Uint8Array | undefined;
}

/** The most codings of a header that are decoded; no server sends more. The rest stays encoded. */
const MAX_CODINGS = 5;

/** The codings that a body can have (RFC 9110, section 8.4.1; RFC 8878). Every other word in the header is ignored. */
const CODINGS: ReadonlySet<string> = new Set([
  'gzip',
  'x-gzip',
  'deflate',
  'br',
  'zstd',
  'compress',
]);

/** Whether a `Content-Encoding` names a coding; `identity`, `none`, `utf-8` and `chunked` are not codings. */
export function isEncoded(contentEncoding: string): boolean {
  return contentEncoding !== '' && codingsOf(contentEncoding).length > 0;
}

/** Whether a `Content-Encoding` is absent or `identity`. */
export function isPlain(contentEncoding: string): boolean {
  return contentEncoding === '' || contentEncoding === 'identity';
}

function codingsOf(contentEncoding: string): readonly string[] {
  const names = contentEncoding.split(',').map((name) => name.trim().toLowerCase());
  return names.filter((name) => CODINGS.has(name)).slice(-MAX_CODINGS);
}

/** Limits of encoded and decoded bytes for decoding at once; larger bodies are decoded in steps. */
const MAX_AT_ONCE_BYTES = 65_536;
const MAX_AT_ONCE_OUTPUT = 262_144;

/** Decodes a body at once, like `decodeBody`; `undefined` where that would take long, or where it is damaged. Never throws. */
export function decodeAtOnce(
  pieces: readonly (string | Uint8Array)[],
  contentEncoding: string,
  maxBytes: number,
  charset = '',
): DecodedBody | undefined {
  let length = 0;
  for (const piece of pieces) {
    length += piece.length;
    if (length > MAX_AT_ONCE_BYTES) return undefined;
  }
  const body = bytesOf(pieces);
  let bytes: Uint8Array = body;
  for (const coding of codingsFor(body, contentEncoding, charset)) {
    const decoded = inflateAtOnce(bytes, coding, Math.min(maxBytes, MAX_AT_ONCE_OUTPUT));
    if (decoded === undefined) return undefined;
    if (isCutShort(bytes, coding, decoded)) return undecoded(body);
    bytes = decoded;
  }
  return mayBeText(bytes, charset) ? toText(bytes, 0, maxBytes, charset) : undefined;
}

/**
 * Decodes a body to at most `maxBytes` bytes of text. `contentEncoding` is the header's value; a coding that the bytes do not have is
 * skipped. `charset` is that of the text, '' for UTF-8. The work is done in steps on zlib's threads. Never rejects.
 */
export async function decodeBody(
  pieces: readonly (string | Uint8Array)[],
  contentEncoding: string,
  maxBytes: number,
  charset = '',
): Promise<DecodedBody> {
  const body = bytesOf(pieces);
  let bytes: Uint8Array = body;
  let dropped = 0;
  for (const coding of codingsFor(body, contentEncoding, charset)) {
    const decoded = await inflate(bytes, coding, maxBytes);
    if (decoded.isDamaged && decoded.used === 0 && mayBeText(bytes, charset)) continue;
    if (isCutShort(bytes, coding, decoded.bytes)) return undecoded(body);
    dropped += bytes.length - decoded.used;
    bytes = decoded.bytes;
  }
  const isLost = dropped > 0 && bytes.length === 0;
  if (isLost || !mayBeText(bytes, charset)) return undecoded(body);
  return toTextInSteps(bytes, dropped, maxBytes, charset);
}

/** The body was cut and no byte of it could be decoded: its content is unknown. */
function isCutShort(bytes: Uint8Array, coding: string, decoded: Uint8Array): boolean {
  return bytes.length > 0 && decoded.length === 0 && !isCodingOfNothing(bytes, coding);
}

function undecoded(body: Uint8Array): DecodedBody {
  return { text: '', dropped: body.length, undecodable: body };
}

/** Whether bytes may be text: with a named charset, nearly all bytes may. */
function mayBeText(bytes: Uint8Array, charset: string): boolean {
  return charset === '' ? isText(bytes) : !isCompressed(bytes);
}

function bytesOf(pieces: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)),
  );
}

function toText(
  bytes: Uint8Array,
  dropped: number,
  maxBytes: number,
  charset: string,
): DecodedBody {
  const over = Math.max(0, bytes.length - maxBytes);
  const text = writerFor(charset)(bytes.subarray(0, maxBytes));
  return { text, dropped: dropped + over, undecodable: undefined };
}

/** Bytes that are converted to text in one step, a millisecond of work. */
const TEXT_STEP_BYTES = 524_288;

/** Converts bytes to text in steps. */
async function toTextInSteps(
  bytes: Uint8Array,
  dropped: number,
  maxBytes: number,
  charset: string,
): Promise<DecodedBody> {
  const end = Math.min(bytes.length, maxBytes);
  const write = writerFor(charset);
  const parts: string[] = [];
  for (let at = 0; at < end; at += TEXT_STEP_BYTES) {
    parts.push(write(bytes.subarray(at, Math.min(end, at + TEXT_STEP_BYTES))));
    await nextTurn();
  }
  return { text: parts.join(''), dropped: dropped + bytes.length - end, undecodable: undefined };
}

/** Returns a function that decodes the next bytes; an incomplete character at the end is left out. */
function writerFor(charset: string): (bytes: Uint8Array) => string {
  if (charset === '') {
    const decoder = new StringDecoder('utf8');
    return (bytes) => decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }
  const decoder = textDecoderFor(charset);
  return (bytes) => decoder.decode(bytes, { stream: true });
}

/**
 * Codings in the order of decoding. Without a header the bytes show the coding: middleware after the guard that compresses sets the header
 * too late.
 */
function codingsFor(body: Uint8Array, contentEncoding: string, charset: string): readonly string[] {
  const named = codingsOf(contentEncoding).toReversed();
  // An unknown coding name means that the bytes are encoded in an unknown way.
  if (named.length > 0 || !isPlain(contentEncoding) || mayBeText(body, charset)) return named;
  const magic = MAGIC.find(([first]) => first.every((byte, at) => body[at] === byte));
  // Brotli has no magic number.
  return [magic?.[1] ?? (hasZlibHeader(body) ? 'deflate' : 'br')];
}

/** Magic numbers of codings (RFC 1952, section 2.3.1; RFC 8878, section 3.1.1). */
const MAGIC: readonly (readonly [readonly number[], string])[] = [
  [[0x1f, 0x8b], 'gzip'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd'],
];

/** Whether bytes begin with the magic number of a coding. */
export function isCompressed(bytes: Uint8Array): boolean {
  return MAGIC.some(([first]) => first.every((byte, at) => bytes[at] === byte));
}

const SAMPLE_BYTES = 1_024;
/** Text may have less than one invalid character in this many: a handler may have cut characters. */
const TEXT_SHARE = 8;

// oxlint-disable-next-line no-control-regex -- text does not contain them
const CONTROL = /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/;

/** Whether bytes are text, by their first 1,024 bytes. `strict`: a single control character shows that they are not. */
export function isText(bytes: Uint8Array, strict = false): boolean {
  if (isCompressed(bytes)) return false;
  const sample = new StringDecoder('utf8').write(Buffer.from(bytes.subarray(0, SAMPLE_BYTES)));
  if (strict && CONTROL.test(sample)) return false;
  const broken = sample.split('\ufffd').length - 1;
  return broken === 0 || broken * TEXT_SHARE < sample.length;
}

/** A decoder for text that comes in pieces of bytes, by charset (WHATWG Encoding); UTF-8 where that is empty or unknown. */
export function textDecoderFor(charset: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset === '' ? 'utf-8' : charset, { ignoreBOM: true });
  } catch {
    // Not a label of the standard: most such bodies are UTF-8.
    return new TextDecoder('utf-8', { ignoreBOM: true });
  }
}
