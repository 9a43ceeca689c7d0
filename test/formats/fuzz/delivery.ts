/** How a body's text becomes bytes, and what the head says of them: true, false or nothing. */
import * as zlib from 'node:zlib';
import fc from 'fast-check';

/** One way. */
export interface Delivery {
  /** Of the `Content-Type`; '' for none. */
  readonly charset: string;
  /** What was done to the bytes. */
  readonly coding: keyof typeof ENCODE;
  /** The `Content-Encoding`; '' for none. */
  readonly label: string;
}

const ENCODE = {
  none: (bytes: Buffer): Buffer => bytes,
  gzip: (bytes: Buffer): Buffer => zlib.gzipSync(bytes),
  deflate: (bytes: Buffer): Buffer => zlib.deflateSync(bytes),
  'raw deflate': (bytes: Buffer): Buffer => zlib.deflateRawSync(bytes),
  br: (bytes: Buffer): Buffer =>
    zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
};
// The keys of the table are its names.
const CODINGS = Object.keys(ENCODE) as (keyof typeof ENCODE)[];
/** What says nothing about the bytes, or something wrong. */
const LABELS = ['', 'identity', 'none', 'utf-8', 'chunked', 'gzip', 'deflate', 'br', 'gzip, br'];

/** Charsets, and how Node writes them; one that nobody knows is read as UTF-8. */
const CHARSETS: Readonly<Record<string, BufferEncoding>> = {
  '': 'utf8',
  'iso-8859-1': 'latin1',
  'utf-16le': 'utf16le',
  'x-of-nobody': 'utf8',
};

/** Half of them say the truth. */
export const deliveries: fc.Arbitrary<Delivery> = fc
  .record({
    charset: fc.constantFrom(...Object.keys(CHARSETS)),
    coding: fc.constantFrom(...CODINGS),
    label: fc.option(fc.constantFrom(...LABELS), { nil: undefined, freq: 1 }),
  })
  .map(({ charset, coding, label }) => ({ charset, coding, label: label ?? LABEL[coding] }));

const LABEL = { none: '', gzip: 'gzip', deflate: 'deflate', 'raw deflate': 'deflate', br: 'br' };

/** The bytes, and the text that a client reads out of them while they come: without half a character at the end. */
export function deliver(
  text: string,
  { charset, coding }: Delivery,
): { readonly bytes: Buffer; readonly text: string } {
  const plain = Buffer.from(text, CHARSETS[charset]);
  const known = charset === '' || charset === 'x-of-nobody' ? 'utf-8' : charset;
  return {
    bytes: ENCODE[coding](plain),
    text: new TextDecoder(known, { ignoreBOM: true }).decode(plain, { stream: true }),
  };
}

/** Whether the head says what was done. */
export function isTrue({ coding, label }: Delivery): boolean {
  return label === LABEL[coding] || (coding === 'none' && label === 'identity');
}
