/** The byte order mark: dropped at the very start of a body, as clients do, and a character like any other behind it. */
import { StringDecoder } from 'node:string_decoder';
import { describe, expect, it } from 'vitest';
import { BodyReader, type BodyReading, TerminalDetector } from '../../src/formats/index.ts';

const BOM = '\ufeff';
const SSE = 'text/event-stream';
const NDJSON = 'application/x-ndjson';
const SIZES = [1, 2, 3, 5, 1_000];

/** In pieces of so many bytes, each decoded as it comes. */
function piecesOf(body: string, size: number): readonly string[] {
  const bytes = Buffer.from(body);
  const decoder = new StringDecoder('utf8');
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    pieces.push(decoder.write(bytes.subarray(at, at + size)));
  }
  return pieces;
}

function read(body: string, contentType: string, size: number): BodyReading {
  const reader = new BodyReader('auto', contentType);
  for (const piece of piecesOf(body, size)) {
    reader.feed(piece);
    reader.result();
  }
  return reader.result();
}

describe.each([
  ['alone', SSE, BOM, '', []],
  ['before an event', SSE, `${BOM}data: a\n\n`, 'a', ['a']],
  ['before an object', NDJSON, `${BOM}{"text":"a"}\n`, 'a', [{ text: 'a' }]],
  ['before an array', 'application/json', `${BOM}[{"text":"a"}]`, 'a', [{ text: 'a' }]],
  ['before an unlabelled event', '', `${BOM}data: {"text":"a"}\n\n`, 'a', [{ text: 'a' }]],
  ['before a text', 'text/plain', `${BOM}Hello ${BOM}you`, `Hello ${BOM}you`, []],
  ['before a text of a type', 'text/markdown', `${BOM}# Hello`, '# Hello', []],
  ['twice', SSE, `${BOM}${BOM}data: a\n\ndata: b\n\n`, 'b', [`${BOM}data: a`, 'b']],
  ['before a later event', SSE, `data: a\n\n${BOM}data: b\n\n`, 'a', ['a', `${BOM}data: b`]],
  ['behind blank lines', SSE, `event: end\r\n\r\n\n${BOM}`, '', ['[DONE]', BOM]],
  ['behind a blank line', SSE, `data: a\n\n${BOM}`, 'a', ['a', BOM]],
  ['behind a blank line, with an end', SSE, `data: a\n\n${BOM}\n\n`, 'a', ['a', BOM]],
  ['in a payload', SSE, `data: ${BOM}a\n\n`, `${BOM}a`, [`${BOM}a`]],
])('a byte order mark %s', (...[, contentType, body, text, events]) => {
  it.each(SIZES)('is read the same in pieces of %i bytes', (size) => {
    expect(read(body, contentType, size)).toMatchObject({ text, events });
  });
});

describe.each([
  ['ends a stream that it begins', `${BOM}data: [DONE]\n\n`, 'finish'],
  ['ends none as part of a later field', `data: a\n\n${BOM}data: [DONE]\n\n`, undefined],
])('a frame with a byte order mark', (title, body, signal) => {
  it.each(SIZES)(`${title}, in pieces of %i bytes`, (size) => {
    for (const format of ['auto', 'sse']) {
      const detector = new TerminalDetector(format, SSE);
      const told = piecesOf(body, size).map((piece) => detector.inspect(piece));
      expect(told.find((one) => one !== undefined)).toBe(signal);
    }
  });
});
