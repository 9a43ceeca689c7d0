/** A chunk boundary means nothing: wherever a stream is cut, it reads the same and its end is seen. */
import { StringDecoder } from 'node:string_decoder';
import { describe, expect, it } from 'vitest';
import { type BodyReading, TerminalDetector, BodyReader } from '../../src/formats/index.ts';
import { SAMPLES, type Sample } from './samples.ts';

/** The body as chunks of bytes, each decoded as it comes. */
function decoded(body: string, cuts: readonly number[]): readonly string[] {
  const bytes = Buffer.from(body);
  const decoder = new StringDecoder('utf8');
  const ends = [...cuts, bytes.length];
  return ends.map((end, index) => decoder.write(bytes.subarray(cuts[index - 1] ?? 0, end)));
}

function read(sample: Sample, pieces: readonly string[], resultAfterEach = false): BodyReading {
  const reading = new BodyReader('auto', sample.contentType);
  for (const piece of pieces) {
    reading.feed(piece);
    if (resultAfterEach) reading.result();
  }
  return reading.result();
}

/** Deterministic, so that a failure can be repeated: a linear congruential generator. */
function randomCuts(seed: number, length: number): readonly number[] {
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
  return Array.from({ length: 1 + next(60) }, () => next(length)).toSorted((a, b) => a - b);
}

describe.each(SAMPLES)('$name', (sample) => {
  const { body, finish } = sample;
  const length = Buffer.byteLength(body);
  const whole = read(sample, [body]);

  it('gives the text that its provider means', () => {
    expect(whole).toMatchObject({
      format: sample.format,
      text: sample.text,
      finished: finish !== undefined,
      empty: false,
      errorFrame: false,
      unknownText: false,
      toolCalls: false,
    });
  });

  it('gives the same cut at every byte', () => {
    for (let cut = 0; cut <= length; cut++) {
      expect(read(sample, decoded(body, [cut])), `cut at ${cut}`).toEqual(whole);
    }
  });

  it('gives the same cut at random places, and read after each piece', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const pieces = decoded(body, randomCuts(seed, length));
      expect(read(sample, pieces, seed % 2 === 0), `seed ${seed}`).toEqual(whole);
    }
  });

  it('shows its finish marker when its frame is whole and not before, wherever it is cut', () => {
    const frameEnd = finish === undefined ? Infinity : body.indexOf(finish) + finish.length;
    const payloadEnd = frameEnd - (finish ?? '').length + (finish ?? '').trimEnd().length;
    for (let seed = 1; seed <= 200; seed++) {
      const watch = new TerminalDetector('auto', sample.contentType);
      let seen = '';
      for (const piece of decoded(body, randomCuts(seed, length))) {
        const before = watch.finished;
        const sighting = watch.inspect(piece);
        seen += piece;
        const at = `seed ${seed} at ${seen.length}`;
        expect(watch.finished && seen.length < payloadEnd, `${at}: too early`).toBe(false);
        expect(!watch.finished && seen.length >= frameEnd, `${at}: too late`).toBe(false);
        expect(sighting === 'finish' || watch.finished === before, `${at}: not told`).toBe(true);
      }
      expect(watch.errored).toBe(false);
    }
  });

  it('shows it in single characters too, and its format is guessed', () => {
    const watch = new TerminalDetector('auto', sample.contentType);
    for (const unit of body) watch.inspect(unit);
    expect(watch.finished).toBe(finish !== undefined);
    expect(watch.format).toBe(sample.format);
    expect(watch.needsFinish).toBe(whole.finishMarker === 'needed');
  });
});
