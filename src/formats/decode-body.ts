/**
 * Undoes the Content-Encoding of a body that the handler encoded itself (proxies pass such bodies on). It
 * runs while a message is being settled, so it is synchronous; it must not let a small body become a huge
 * one, and a stream that was cut in the middle must give what came before the cut.
 */
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
}

type Decode = (bytes: Uint8Array, maxBytes: number) => Uint8Array;

/**
 * Decodes a body to at most `maxBytes` bytes of UTF-8. `contentEncoding` is the header's value; a coding that
 * this Node does not know gives no text and drops everything. Never throws.
 */
export function decodeBody(
  pieces: readonly (string | Uint8Array)[],
  contentEncoding: string,
  maxBytes: number,
): DecodedBody {
  let bytes: Uint8Array = Buffer.concat(
    pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)),
  );
  let dropped = 0;
  // The header lists codings in the order they were applied.
  for (const coding of contentEncoding.toLowerCase().split(',').reverse()) {
    const decode = decoderOf(coding.trim());
    const decoded = decode === undefined ? NOTHING : longestPart(bytes, decode, maxBytes);
    dropped += bytes.length - decoded.used;
    bytes = decoded.bytes;
  }
  dropped += Math.max(0, bytes.length - maxBytes);
  // `write` alone leaves out a character that was cut at the end.
  const text = new StringDecoder('utf8').write(Buffer.from(bytes.subarray(0, maxBytes)));
  return { text, dropped };
}

/** What was decoded, and how much of the input it took. */
interface Part {
  readonly bytes: Uint8Array;
  readonly used: number;
}

const NOTHING: Part = { bytes: new Uint8Array(), used: 0 };

/**
 * Decodes as much of the input as is sound and has room. zlib says of damage and of too much output only that
 * it happened, and keeps what it had; so the longest part that does decode is searched for by halving.
 */
function longestPart(bytes: Uint8Array, decode: Decode, maxBytes: number): Part {
  const whole = attempt(bytes, decode, maxBytes);
  if (whole !== undefined) return { bytes: whole, used: bytes.length };
  let best = NOTHING;
  let failing = bytes.length;
  while (failing - best.used > 1 && best.bytes.length < maxBytes) {
    const middle = best.used + Math.floor((failing - best.used) / 2);
    const decoded = attempt(bytes.subarray(0, middle), decode, maxBytes);
    if (decoded === undefined) failing = middle;
    else best = { bytes: decoded, used: middle };
  }
  // zlib takes a first byte of anything: that is not decoding.
  return best.bytes.length === 0 ? NOTHING : best;
}

/**
 * Room over `maxBytes`, so that the search can end a little over it instead of under: a byte of deflate is at
 * most 8 codes of 258 bytes. (A byte of Brotli may be megabytes; there the part may end early.)
 */
const SLACK_BYTES = 65_536;

function attempt(bytes: Uint8Array, decode: Decode, maxBytes: number): Uint8Array | undefined {
  try {
    return decode(bytes, maxBytes + SLACK_BYTES);
  } catch {
    // Damaged or too large: the search goes on with less.
    return undefined;
  }
}

/** Flushing in place of finishing makes a cut stream give what it has, where it would be an error. */
const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;

function decoderOf(coding: string): Decode | undefined {
  switch (coding) {
    case '':
    case 'identity':
      return (bytes) => bytes;
    case 'gzip':
    case 'x-gzip':
      return (bytes, maxOutputLength) =>
        zlib.gunzipSync(bytes, { finishFlush: Z_SYNC_FLUSH, maxOutputLength });
    case 'deflate':
      return (bytes, maxOutputLength) => {
        const inflate = hasZlibHeader(bytes) ? zlib.inflateSync : zlib.inflateRawSync;
        return inflate(bytes, { finishFlush: Z_SYNC_FLUSH, maxOutputLength });
      };
    case 'br':
      return (bytes, maxOutputLength) =>
        zlib.brotliDecompressSync(bytes, { finishFlush: BROTLI_OPERATION_FLUSH, maxOutputLength });
    case 'zstd':
      return zstd();
    default:
      return undefined;
  }
}

/** `deflate` means zlib's container, but some servers send it bare. RFC 1950 2.2: method 8, checked modulo 31. */
function hasZlibHeader(bytes: Uint8Array): boolean {
  const [method = 0, flags = 0] = bytes;
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
}

/** Node has it from 22.15 and 23.8 on. */
function zstd(): Decode | undefined {
  const decompress = member(zlib, 'zstdDecompressSync');
  if (typeof decompress !== 'function') return undefined;
  const finishFlush = member(zlib.constants, 'ZSTD_e_flush');
  // The types are those of the oldest Node; where the function exists it takes and gives what its siblings do.
  const decode = decompress as (bytes: Uint8Array, options: object) => Uint8Array;
  return (bytes, maxOutputLength) => decode(bytes, { finishFlush, maxOutputLength });
}
