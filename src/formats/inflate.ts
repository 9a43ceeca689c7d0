/** Decodes one content coding: in steps on zlib's threads, so that the event loop is not blocked, or at once if it is small. */
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { member } from './json.ts';

/** What was decoded, and how much of the input it took. */
export interface Part {
  readonly bytes: Uint8Array;
  readonly used: number;
  readonly isDamaged: boolean;
}

/** Bytes of input per step; where a step fails, its bytes are decoded again in smaller steps, down to one byte. */
const STEPS = [16_384, 256, 1];

/** Decodes up to the first damaged byte, or to a little more than `maxBytes`. Never rejects. */
export async function inflate(bytes: Uint8Array, coding: string, maxBytes: number): Promise<Part> {
  let best: Part = { bytes: new Uint8Array(), used: 0, isDamaged: true };
  for (const size of STEPS) {
    const part = await inflateBy(size, bytes, best.used, { coding, maxBytes });
    if (part === undefined) return best;
    if (part.used >= best.used) best = part;
    if (part.used === bytes.length || part.bytes.length > maxBytes) break;
  }
  // zlib accepts any first byte: that does not count as decoded.
  return best.bytes.length === 0 && best.isDamaged ? { ...best, used: 0 } : best;
}

interface Limits {
  readonly coding: string;
  readonly maxBytes: number;
}

/** Decodes the first `sound` bytes, which are known to be undamaged, then continues in steps of `size` bytes until one fails. */
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
  // The error is handled by the callback of `write`.
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

/** Writes one step; false if it is damaged, or if the stream was destroyed because of the limit. */
function writeTo(stream: Transform, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    stream.once('close', () => resolve(false));
    stream.write(bytes, (error) => {
      stream.removeAllListeners('close');
      // Its `data` events come before the next turn of the event loop.
      setImmediate(() => resolve(error === undefined || error === null));
    });
  });
}

/** Flushing at each step returns what was decoded, even of a body that was cut. */
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

/** Whether bytes that decode to nothing are a complete coding of an empty body, not the beginning of a cut one. */
export function isCodingOfNothing(bytes: Uint8Array, coding: string): boolean {
  return inflateAtOnce(bytes, coding, MAX_OF_NOTHING, true)?.length === 0;
}

/** The smallest limit that zlib accepts. */
const MAX_OF_NOTHING = 1;

/** Decodes at once; `undefined` for damaged or too large input, or a coding this Node lacks; with `isWhole` also for cut input. */
export function inflateAtOnce(
  bytes: Uint8Array,
  coding: string,
  maxOutputLength: number,
  isWhole = false,
): Uint8Array | undefined {
  const options = { maxOutputLength, ...(!isWhole && { finishFlush: Z_SYNC_FLUSH }) };
  try {
    switch (coding) {
      case 'gzip':
      case 'x-gzip':
        return zlib.gunzipSync(bytes, options);
      case 'deflate':
        return (hasZlibHeader(bytes) ? zlib.inflateSync : zlib.inflateRawSync)(bytes, options);
      case 'br':
        return zlib.brotliDecompressSync(bytes, {
          maxOutputLength,
          ...(!isWhole && { finishFlush: BROTLI_OPERATION_FLUSH }),
        });
      case 'zstd':
        return zstd('zstdDecompressSync', isWhole ? undefined : 'finishFlush', bytes) as
          Uint8Array | undefined;
      default:
        return undefined;
    }
  } catch {
    // `inflate` finds the damaged byte.
    return undefined;
  }
}

/** Node has zstd from 22.15 and 23.8 on; the types are those of the oldest. */
function zstd(
  name: string,
  flushOption: string | undefined,
  bytes: Uint8Array | undefined,
): unknown {
  const make = member(zlib, name);
  const flush = member(zlib.constants, 'ZSTD_e_flush');
  if (typeof make !== 'function') return undefined;
  const options = flushOption === undefined ? {} : { [flushOption]: flush };
  return Reflect.apply(make, undefined, bytes === undefined ? [options] : [bytes, options]);
}

/** `deflate` means the zlib format, but some servers send raw deflate data. RFC 1950 2.2: method 8, checked modulo 31. */
export function hasZlibHeader(bytes: Uint8Array): boolean {
  const [method = 0, flags = 0] = bytes;
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
}
