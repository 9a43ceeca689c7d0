/** `ids: true`: an `EventSource` resumes by itself, which here is made of raw sockets so that its connection can be cut anywhere. */
import { gunzipSync } from 'node:zlib';
import compression from 'compression';
import { createParser } from 'eventsource-parser';
import { describe, expect, it } from 'vitest';
import { lastchunk } from '../../../src/index.ts';
import { chatChunk } from '../../support/frames.ts';
import { type HttpClient, openClient } from '../../support/http-client.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { beginChat, relayed, type Replica, resume } from '../../support/replicas.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

/** What an `EventSource` is as far as the standard says how it connects again: the last id goes with the next request. */
class Source {
  readonly events: string[] = [];
  lastId = '';
  status = 0;
  client: HttpClient | undefined;

  /** Connects; resolves when that connection is over, by whomever. */
  async connect(replica: Replica, streamId: string, cutAfter = Number.POSITIVE_INFINITY) {
    const headers: Record<string, string> =
      this.lastId === '' ? {} : { 'last-event-id': this.lastId };
    const client = await resume(replica, streamId, '', headers);
    this.client = client;
    await until(
      'it is over, or has come as far as it may',
      () => client.gone || client.reply?.whole === true || this.#length() >= cutAfter,
    );
    const body = client.reply?.body.subarray(0, cutAfter) ?? Buffer.alloc(0);
    client.rst();
    this.status = client.reply?.status ?? 0;
    const parser = createParser({
      onEvent: ({ id, data }) => {
        this.events.push(data);
        if (id !== undefined) this.lastId = id;
      },
    });
    parser.feed(body.toString());
  }

  #length(): number {
    return this.client?.reply?.body.length ?? 0;
  }
}

const FRAMES = [
  chatChunk({ content: 'hello' }),
  ': ping\n\n',
  chatChunk({ content: ' wörld' }),
  chatChunk({ content: ' and more' }),
  chatChunk({}, 'stop'),
  'data: [DONE]\n\n',
];
const DATA = FRAMES.filter((frame) => !frame.startsWith(':')).map((frame) => frame.slice(6, -2));

describe('an EventSource whose connection is cut', () => {
  it.each(['here', 'there'] as const)(
    'gets every frame once, wherever it is cut, and then the end: %s',
    async (where) => {
      const all = await beginChat({ guard: { ids: true } });
      const { shared, client, talk, here } = all;
      talk.res.type('text/event-stream').write(FRAMES.slice(0, 3).join(''));
      for (const frame of FRAMES.slice(3)) {
        const half = Math.floor(frame.length / 2);
        talk.res.write(Buffer.from(frame.slice(0, half)));
        talk.res.write(frame.slice(half));
      }
      talk.res.end();
      const { body } = await client.over();
      expect(shared.store.row).toMatchObject({ text: 'hello wörld and more', complete: true });
      await here.recorded.ended();
      await until('it is settled', () => shared.relay.isSettled(talk.streamId));
      for (let cutAfter = 1; cutAfter < body.length; cutAfter += 37) {
        const source = new Source();
        await source.connect(all[where], talk.streamId, cutAfter);
        await source.connect(all[where], talk.streamId);
        expect(source.events).toEqual(DATA);
        expect(source.lastId).toBe(String(body.length));
        await source.connect(all[where], talk.streamId);
        expect(source.status).toBe(204);
      }
    },
  );

  it('gets later frames live', async () => {
    const { shared, there, talk } = await beginChat({ guard: { ids: true } });
    talk.res.type('text/event-stream').write(FRAMES[0]);
    await until('it is relayed', () => shared.relay.bodyOf(talk.streamId).includes('id: '));
    const source = new Source();
    await source.connect(there, talk.streamId, shared.relay.bodyOf(talk.streamId).length);
    talk.res.write(FRAMES[2]);
    const rest = source.connect(there, talk.streamId);
    talk.res.end(FRAMES[3] ?? '');
    await rest;
    expect(source.events).toEqual([DATA[0], DATA[1], DATA[2]]);
  });
});

describe('an EventSource that connects again', () => {
  /** A stream of the first replica, which has sent a frame and a second one with an `id`. */
  async function twoFrames() {
    const all = await beginChat({ guard: { ids: true } });
    const { shared, talk } = all;
    talk.res.type('text/event-stream').write('data: one\n\ndata: two\n\n');
    const body = 'data: one\nid: 18\n\ndata: two\nid: 36\n\n';
    await relayed(shared, talk.streamId, body);
    return { ...all, streamId: talk.streamId };
  }

  it('continues after its last frame if its address has an offset', async () => {
    const { there, talk, streamId } = await twoFrames();
    const reader = await resume(there, streamId, '?offset=18', { 'last-event-id': '36' });
    talk.res.end('data: three\n\n');
    expect((await reader.over()).body.toString()).toBe('data: three\nid: 56\n\n');
    const again = await resume(there, streamId, '?offset=18', { 'last-event-id': '56' });
    expect((await again.over()).status).toBe(204);
  });

  it('ignores a Last-Event-ID that is not an offset if its address has an offset', async () => {
    const { there, streamId } = await twoFrames();
    const reader = await resume(there, streamId, '?offset=18', { 'last-event-id': 'x' });
    await reader.sees('data: two');
    expect(reader.text).not.toContain('one');
  });

  it('gets a response that is cut off while the relay is unavailable: an error status would close it', async () => {
    const { shared, there, streamId } = await twoFrames();
    shared.relay.fail(new Error('away'));
    const reader = await resume(there, streamId, '', { 'last-event-id': '18' });
    const { status, headers, body, whole } = await reader.over();
    expect({ status, whole }).toEqual({ status: 200, whole: false });
    expect(headers['content-type']).toBe('text/event-stream');
    expect(body.length).toBe(0);
  });

  it('gets a response that is cut off if there are too many readers', async () => {
    const { there, streamId } = await twoFrames();
    const few = there.keep.resumeHandler({ authorize: () => true, maxReaders: 1 });
    const server = await serve((req, res) => void few(req, res));
    const ask = () =>
      openClient(server, `/streams/${streamId}`, { headers: { 'last-event-id': '18' } });
    const first = await ask();
    await first.sees('data: two');
    expect(await (await ask()).over()).toMatchObject({ status: 200, whole: false });
  });
});

describe('the ids of frames', () => {
  it('change neither return values nor callbacks, and are counted in Content-Length', async () => {
    const { client, talk } = await beginChat({ guard: { ids: true } });
    talk.res.setHeader('Content-Type', 'text/event-stream');
    const called: unknown[] = [];
    talk.res.on('finish', () => called.push('finish'));
    talk.res.end('data: one\n\n', () => called.push('end'));
    const { headers, body } = await client.over();
    expect(body.toString()).toBe('data: one\nid: 18\n\n');
    expect(headers['content-length']).toBe('18');
    await until('both are called', () => called.length === 2);
  });

  it('count for backpressure, and the callback of a write is called', async () => {
    const { client, talk } = await beginChat({ guard: { ids: true } });
    talk.res.type('text/event-stream');
    let called = 0;
    expect(talk.res.write('data: 1\n\n', 'utf8', () => (called += 1))).toBe(true);
    const large = `data: ${'x'.repeat(4_000_000)}\n\n`;
    expect(talk.res.write(large, () => (called += 1))).toBe(false);
    await until('both have left', () => called === 2);
    await client.sees('x\nid: 4000036\n\n');
  });

  it('are added to a held frame too', async () => {
    const { shared, client, talk } = await beginChat({
      guard: { ids: true, confirmTimeoutMs: 60_000 },
    });
    shared.store.hold();
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    await client.sees('hello');
    shared.relay.hold();
    talk.res.write(chatChunk({}, 'stop'));
    talk.res.end('data: [DONE]\n\n');
    await until('the store is asked', () => shared.store.waiting === 1);
    expect(client.text).not.toContain('stop');
    shared.store.answer();
    const { body } = await client.over();
    shared.relay.answer();
    expect(body.toString()).toMatch(new RegExp(`data: \\[DONE\\]\\nid: ${body.length}\\n\\n$`));
  });

  it('are not added to a body with a Content-Length, or to one that is not an event stream', async () => {
    const { here, client, talk } = await beginChat({ guard: { ids: true } });
    talk.res.type('text/event-stream').set('Content-Length', '11').write('data: one\n\n');
    expect((await client.over()).body.toString()).toBe('data: one\n\n');
    const second = await openClient(here.server, '/chat/d', { method: 'POST' });
    const { res } = await until('the handler runs', () => here.talks[1]);
    res.type('application/x-ndjson').end('{"a":1}\n\n');
    expect((await second.over()).body.toString()).toBe('{"a":1}\n\n');
    const said = here.logbook.lines.filter(({ text }) => text.includes('get no ids'));
    expect(said).toHaveLength(2);
  });

  it('are added before compression() encodes the body', async () => {
    const { here } = await beginChat({
      guard: { ids: true },
      before: (app) => app.use(compression()),
    });
    const client = await openClient(here.server, '/chat/z', {
      method: 'POST',
      headers: { 'accept-encoding': 'gzip' },
    });
    const { res } = await until('the handler runs', () => here.talks[1]);
    res.type('text/event-stream').write('data: one\n\n');
    res.end('data: two\n\n');
    const { headers, body } = await client.over();
    expect(headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(body).toString()).toBe('data: one\nid: 18\n\ndata: two\nid: 36\n\n');
  });

  it('require a relay', async () => {
    await using keep = lastchunk({ store: createMemoryStore(), journal: false });
    expect(() => keep.guard({ ids: true })).toThrow('`relay`');
  });
});
