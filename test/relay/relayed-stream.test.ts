import { describe, expect, it } from 'vitest';
import { RelayedStream, type StreamShare } from '../../src/relay/relayed-stream.ts';
import { headJson, parseHead } from '../../src/relay/source.ts';
import { createSource, END, OPENED } from './fake-source.ts';

/** What a share says, as texts. */
function said(share: StreamShare | undefined) {
  return {
    parts: share?.parts.map(({ at, body }) => [at, Buffer.from(body).toString()]) ?? [],
    heldFrom: share?.state?.heldFrom,
    end: share?.state?.end,
    isAll: share?.isAll,
  };
}

/** Tells the engine, which takes everything. */
function tell(stream: RelayedStream): StreamShare | undefined {
  const share = stream.next();
  if (share !== undefined) stream.confirm(share, 0);
  return share;
}

describe('a stream in the relay', () => {
  it('sends its new pieces once, in one part', () => {
    const source = createSource();
    const stream = new RelayedStream(source);
    source.body.pieces.push('wö', 'rld');
    expect(said(tell(stream)).parts).toEqual([[0, 'wörld']]);
    expect(stream.hasNews).toBe(false);
    expect(tell(stream)).toBeUndefined();
    source.body.pieces.push(' and', ' more');
    expect(said(tell(stream)).parts).toEqual([[6, ' and more']]);
  });

  it('repeats the part of a failed exchange from the same offset, with the pieces written since', () => {
    const source = createSource();
    const stream = new RelayedStream(source);
    source.body.pieces.push('one');
    expect(said(stream.next()).parts).toEqual([[0, 'one']]);
    source.body.pieces.push(' two');
    expect(said(tell(stream)).parts).toEqual([[0, 'one two']]);
  });

  it('sends held pieces in a part of their own, behind an offset that readers may not pass', () => {
    const source = createSource();
    const stream = new RelayedStream(source);
    source.body.pieces.push('text', ' more', ' last');
    source.heldFrom = 2;
    expect(said(tell(stream))).toMatchObject({
      parts: [
        [0, 'text more'],
        [9, ' last'],
      ],
      heldFrom: 9,
      isAll: true,
    });
    source.body.pieces.push(' after');
    expect(said(tell(stream))).toMatchObject({ parts: [[14, ' after']], isAll: true });
    source.heldFrom = undefined;
    source.end = END;
    const final = said(tell(stream));
    expect(final).toMatchObject({ parts: [], heldFrom: null, end: { ...END, length: 20 } });
    expect(stream.isTold).toBe(true);
  });

  it('does not hold what readers have already received', () => {
    const source = createSource();
    const stream = new RelayedStream(source);
    source.body.pieces.push('text');
    tell(stream);
    source.heldFrom = 0;
    source.body.pieces.push(' last');
    expect(said(tell(stream))).toMatchObject({ parts: [[4, ' last']], heldFrom: 4 });
  });

  it('continues from the offset that the engine returns after its lease was lost', () => {
    const source = createSource();
    const stream = new RelayedStream(source);
    source.body.pieces.push('one', ' two', ' three');
    tell(stream);
    stream.reopen();
    const opening = stream.next();
    expect(opening?.opening?.streamId).toBe('s');
    expect(said(opening).parts).toEqual([]);
    if (opening !== undefined) stream.confirm(opening, 7);
    expect(said(tell(stream)).parts).toEqual([[7, ' three']]);
  });

  it('sends an ending only behind its body, with the length of that body', () => {
    const source = createSource();
    const stream = new RelayedStream(source);
    source.body.pieces.push('text');
    stream.conclude((endsAt) => `ends at ${endsAt}`);
    source.body.pieces.push(' later');
    expect(tell(stream)?.state?.ending).toBe('ends at 4');
  });

  it('lets readers read no further than its pieces equal the bytes on the wire', () => {
    const source = createSource();
    const stream = new RelayedStream(source);
    source.body.pieces.push('text');
    tell(stream);
    source.isExact = false;
    source.body.pieces.push('\uFFFD');
    expect(said(tell(stream)).heldFrom).toBe(4);
  });

  it('sends no more parts and no ending once its body has left memory, only a broken end', () => {
    const source = createSource();
    const stream = new RelayedStream(source);
    source.body.pieces.push('text');
    tell(stream);
    source.isWhole = false;
    source.isExact = false;
    source.body.pieces.splice(0, 1, 'of another place');
    stream.conclude(() => 'an ending');
    source.end = END;
    const share = tell(stream);
    // A reader must not take it for the whole body.
    const end = { isTidy: false, length: 4 };
    expect(said(share)).toMatchObject({ parts: [], isAll: false, end });
    expect(share?.state?.ending).toBeNull();
    expect(stream.isTold).toBe(true);
  });
});

describe('the JSON of a head', () => {
  it('contains all that a stream was opened with', () => {
    const head = parseHead(headJson(createSource()));
    expect(head?.opened).toEqual(OPENED);
    expect(head?.response).toEqual({
      status: 200,
      headers: [['content-type', 'text/event-stream']],
    });
  });

  it('omits metadata that JSON cannot hold', () => {
    const source = createSource();
    source.opened = { ...OPENED, metadata: { big: 1n } };
    expect(parseHead(headJson(source))?.opened).toEqual({ ...OPENED, metadata: null });
  });

  it.each(['', 'no JSON', '[]', '{}', '{"opened":{}}'])(
    'is refused if it is invalid: %j',
    (json) => {
      expect(parseHead(json)).toBeUndefined();
    },
  );

  it('of a later version is read as far as its fields are known', () => {
    const head = parseHead('{"version":9,"opened":{"id":"s","more":1},"response":{"status":"x"}}');
    expect(head?.opened).toMatchObject({ id: 's', role: 'assistant', contentEncoding: 'identity' });
    expect(head?.response).toBeUndefined();
  });
});
