/** What must hold for every body, however strange. */
import fc from 'fast-check';
import type { OpenedStream, ReadBody } from '../../../src/core/save-port.ts';
import {
  BodyReader,
  type BodyReading,
  isEncoded,
  isPlain,
  resolveFormat,
  TerminalDetector,
} from '../../../src/formats/index.ts';
import { Capture } from '../../../src/stream/body/capture.ts';
import { readBody } from '../../../src/stream/body/content.ts';
import { LiveBytes } from '../../../src/stream/body/live-bytes.ts';
import { bodies, type Body } from './bodies.ts';
import { deliver, deliveries, type Delivery, isTrue } from './delivery.ts';

/** A body, and where it is cut. */
interface Case {
  readonly body: Body;
  readonly cuts: readonly number[];
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 });

/** Every property of a text at once, because making a body costs more than reading it. */
export const property = fc.asyncProperty(fc.record({ body: bodies, cuts }), check);

/** The same for bytes: in a charset, with a coding, and with any label. */
export const deliveredProperty = fc.asyncProperty(
  fc.record({ body: bodies, cuts, delivery: deliveries }),
  checkDelivered,
);

/** Rejects with the first thing that does not hold. */
export async function check({ body, cuts: where }: Case): Promise<void> {
  const whole = read(body, [body.text]);
  const told = said(whole);
  same('one character at a time', said(read(body, Array.from(body.text))), told);
  const pieces = cutAt(body.text, where);
  same('cut anywhere', said(read(body, pieces)), told);
  same('live, with what the detector has learnt', said(live(body, pieces)), told);
  const recovered = await readBody(opened(body), pieces);
  same('recovered: the text', recovered.text, whole.text);
  same('recovered: whether it is empty', String(recovered.empty), String(whole.empty));
  accounted(body, recovered);
  if (body.answer === undefined) return;
  same('the text of a plain stream', whole.text, body.answer);
  same('a plain stream is finished', String(whole.finished), 'true');
  same('a plain stream needs no events', JSON.stringify(recovered.events), 'null');
}

/**
 * Whatever was done to its bytes, and whatever is said about that: the body is read as its text is, or it is kept as it is; live
 * as recovered.
 */
async function checkDelivered({
  body,
  cuts: where,
  delivery,
}: Case & { readonly delivery: Delivery }): Promise<void> {
  const { bytes, text } = deliver(body.text, delivery);
  const expected = read(body, [text]);
  const { charset, label } = delivery;
  const contentType = charset === '' ? body.contentType : `${body.contentType}; charset=${charset}`;
  const stream = {
    ...opened(body),
    contentType,
    contentEncoding: label || 'identity',
    events: true,
  };
  const readings: string[] = [];
  for (const pieces of [[bytes], cutBytes(bytes, where)]) {
    const capture = new Capture({
      maxBytes: 1_048_576,
      encoded: isEncoded(label),
      strict: !isPlain(label),
      charset,
      live: new LiveBytes({ maxBytes: Infinity, streams: new Map(), onCut: () => undefined }),
    });
    for (const piece of pieces) capture.take(piece, undefined);
    const content = await readBody(stream, capture.pieces);
    const isBase64 = JSON.stringify(content.events) === base64Of(bytes);
    const isRead = content.text === expected.text && content.empty === expected.empty;
    same('read, or kept as it is', String(isRead || isBase64), 'true');
    if (isBase64) same('called empty', String(content.empty), 'false');
    readings.push(JSON.stringify([content.text, content.events]));
  }
  if (isTrue(delivery) && isWellWritten(text)) {
    same('read', readings[0] ?? '', JSON.stringify([expected.text, expected.events]));
  }
}

function base64Of(bytes: Buffer): string {
  return JSON.stringify([{ base64: bytes.toString('base64') }]);
}

/** A text of which much is no character may be bytes of anything. */
function isWellWritten(text: string): boolean {
  return !text.includes('\ufffd');
}

function cutBytes(bytes: Buffer, where: readonly number[]): readonly Buffer[] {
  const ends = where.map((cut) => Math.floor(cut * bytes.length)).toSorted((a, b) => a - b);
  return [...ends, bytes.length]
    .map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end))
    .filter((piece) => piece.length > 0);
}

/** Every marker is in the text or in the events, and a body with one is not empty. */
function accounted(
  { markers }: Body,
  { text, events, empty }: Awaited<ReturnType<ReadBody>>,
): void {
  const stored = text + (events === null ? '' : JSON.stringify(events));
  const lost = markers.filter((marker) => !stored.includes(marker));
  same('in neither text nor events', lost.join(' '), '');
  same('called empty, with content in it', String(empty && markers.length > 0), 'false');
}

/** A plain comparison of texts: an assertion library's report costs a thousand times as much. */
function same(what: string, actual: string, expected: string): void {
  if (actual !== expected) throw new Error(`${what}\n  is     ${actual}\n  not    ${expected}`);
}

function read(body: Body, pieces: readonly string[]): BodyReading {
  const reader = new BodyReader(resolveFormat(body.format), body.contentType, rethrow);
  for (const piece of pieces) reader.feed(piece);
  return reader.result();
}

/** As a stream that is live: the detector sees each piece first, and the reader is told what it has learnt. */
function live(body: Body, pieces: readonly string[]): BodyReading {
  const format = resolveFormat(body.format);
  const detector = new TerminalDetector(format, body.contentType, rethrow);
  const fitted = pieces.map((piece) => {
    detector.inspect(piece);
    return detector.fitted;
  });
  const reader = new BodyReader(format, body.contentType, rethrow, detector.template);
  for (const [at, piece] of pieces.entries()) reader.feed(piece, fitted[at]);
  return reader.result();
}

/** What is compared of a reading. */
function said({
  text,
  events,
  empty,
  finished,
  errorFrame,
  unknownText,
  finishReason,
}: BodyReading): string {
  return JSON.stringify([text, events, { empty, finished, errorFrame, unknownText, finishReason }]);
}

function cutAt(text: string, where: readonly number[]): readonly string[] {
  const ends = where.map((cut) => Math.floor(cut * text.length)).toSorted((a, b) => a - b);
  return [...ends, text.length]
    .map((end, at) => text.slice(ends[at - 1] ?? 0, end))
    .filter((piece) => piece !== '');
}

function opened({ contentType, format }: Body): OpenedStream {
  return {
    id: 'stream',
    messageId: 'message',
    conversationId: null,
    role: 'assistant',
    metadata: null,
    route: '/fuzz',
    format,
    contentType,
    contentEncoding: 'identity',
    events: false,
    startedAtMs: 0,
    traceparent: null,
  };
}

function rethrow(error: unknown): never {
  throw error;
}
