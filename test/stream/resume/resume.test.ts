import { connect } from 'node:net';
import express4 from 'express4';
import { describe, expect, it } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { type HttpClient, openClient } from '../../support/http-client.ts';
import { beginChat as begin, relayed, type Replica, resume } from '../../support/replicas.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

describe('a resumed response', () => {
  it.each(['here', 'there'] as const)(
    'has the same bytes from every offset, then new bytes, then the end: %s',
    async (where) => {
      const all = await begin();
      const { shared, talk } = all;
      const begun = chatChunk({ content: 'wörld ' });
      const rest = chatChunk({ content: '…and more' }) + chatChunk({}, 'stop');
      talk.res.type('text/event-stream').write(begun);
      await relayed(shared, talk.streamId, begun);
      const size = Buffer.byteLength(begun);
      const offsets = Array.from({ length: size + 1 }, (_, offset) => offset);
      const readers: HttpClient[] = [];
      for (const offset of offsets) {
        readers.push(await resume(all[where], talk.streamId, `?offset=${offset}`));
      }
      await until('every head is there', () => readers.every(({ reply }) => reply?.status === 200));
      talk.res.end(rest);
      const whole = Buffer.from(begun + rest);
      for (const [offset, reader] of readers.entries()) {
        const reply = await reader.over();
        expect(reply.whole).toBe(true);
        expect(reply.body.equals(whole.subarray(offset))).toBe(true);
        expect(reply.headers['x-stream-offset']).toBe(String(offset));
      }
    },
  );

  it('has the status of the original and its headers that describe the body', async () => {
    const { shared, there, talk } = await begin();
    talk.res.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'X-Vercel-AI-UI-Message-Stream': 'v1',
      'Set-Cookie': 'session=secret',
      'X-Private': 'secret',
    });
    talk.res.write(chatChunk({ content: 'hello' }));
    await relayed(shared, talk.streamId, chatChunk({ content: 'hello' }));
    const reader = await resume(there, talk.streamId);
    const { headers, head } = await until('the head', () => reader.reply);
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'x-vercel-ai-ui-message-stream': 'v1',
      'x-stream-id': talk.streamId,
      'x-stream-offset': '0',
      'cache-control': 'no-store',
    });
    expect(head).not.toContain('secret');
  });

  it.each(['here', 'there'] as const)(
    'has no last frame before the message is saved: %s',
    async (where) => {
      const all = await begin({ guard: { confirmTimeoutMs: 60_000 } });
      const { shared, talk, client } = all;
      shared.store.hold();
      const text = chatChunk({ content: 'hello' });
      talk.res.type('text/event-stream').write(text);
      await relayed(shared, talk.streamId, text);
      const reader = await resume(all[where], talk.streamId);
      await reader.sees('hello');
      talk.res.end(chatChunk({}, 'stop'));
      // The relay takes the message for the journal; the frame is let go by that alone.
      shared.relay.hold();
      await until('the store is asked', () => shared.store.waiting === 1);
      expect(client.text).not.toContain('stop');
      expect(reader.text).not.toContain('stop');
      shared.store.answer();
      await client.sees('"stop"');
      shared.relay.answer();
      expect((await reader.over()).whole).toBe(true);
    },
  );

  it('follows a stream whose client left to its regular end', async () => {
    const { shared, there, client, talk } = await begin();
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    await client.sees('hello');
    await relayed(shared, talk.streamId, chatChunk({ content: 'hello' }));
    const seen = client.reply?.body.length ?? 0;
    client.rst();
    const reader = await resume(there, talk.streamId, `?offset=${seen}`);
    talk.res.write(chatChunk({ content: ' again' }));
    await reader.sees('again');
    talk.res.end(chatChunk({}, 'stop'));
    const reply = await reader.over();
    expect(reply.whole).toBe(true);
    expect(reply.body.toString()).toBe(chatChunk({ content: ' again' }) + chatChunk({}, 'stop'));
    expect(shared.store.row).toMatchObject({ text: 'hello again', complete: true });
  });

  it.each(['here', 'there'] as const)('is broken off if the original is: %s', async (where) => {
    const all = await begin();
    const { talk, shared, here } = all;
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    await relayed(shared, talk.streamId, chatChunk({ content: 'hello' }));
    const reader = await resume(all[where], talk.streamId);
    await reader.sees('hello');
    talk.res.destroy();
    const reply = await reader.over();
    expect(reply.whole).toBe(false);
    expect(reply.body.toString()).toBe(chatChunk({ content: 'hello' }));
    await here.recorded.ended();
    await until('it is told', () => shared.relay.isSettled(talk.streamId));
    const again = await resume(all.there, talk.streamId, `?offset=${reply.body.length}`);
    expect((await again.over()).status).toBe(204);
  });

  it('can be requested again for retainMs after the end', async () => {
    const { shared, here, there, talk } = await begin();
    const whole = chatChunk({ content: 'hello' }) + chatChunk({}, 'stop');
    talk.res.type('text/event-stream').end(whole);
    await here.recorded.ended();
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    for (const replica of [here, there]) {
      const reply = await (await resume(replica, talk.streamId, '?offset=3')).over();
      expect(reply).toMatchObject({ status: 200, whole: true });
      expect(reply.body.toString()).toBe(whole.slice(3));
    }
    shared.relay.advance(600_000);
    expect((await (await resume(there, talk.streamId)).over()).status).toBe(404);
  });

  it('has a body that the handler encoded unchanged, with its coding', async () => {
    const { shared, there, talk } = await begin();
    const bytes = Buffer.from([0x1f, 0x8b, 8, 0, 255, 254, 0, 128]);
    talk.res.set('Content-Encoding', 'gzip').type('text/event-stream').write(bytes);
    await until('the engine has it', () => shared.relay.bodyOf(talk.streamId) !== '');
    const reader = await resume(there, talk.streamId, '?offset=2');
    const reply = await until(
      'the bytes',
      () => (reader.reply?.body.length ?? 0) > 5 && reader.reply,
    );
    expect(reply.headers['content-encoding']).toBe('gzip');
    expect(reply.headers['x-stream-offset']).toMatch(/^\d+; coding=gzip$/);
    expect(reply.body.equals(bytes.subarray(2))).toBe(true);
  });

  it('is 204 if the body is not stored byte for byte', async () => {
    const { there, talk, shared } = await begin();
    talk.res.set('Content-Type', 'text/event-stream; charset=iso-8859-1');
    talk.res.write(Buffer.from('data: h\xe9\n\n', 'latin1'));
    await until('the engine has it', () => shared.relay.bodyOf(talk.streamId) !== '');
    expect((await (await resume(there, talk.streamId)).over()).status).toBe(204);
  });

  it('reads only as much as its client does, and releases everything when the client leaves', async () => {
    const { shared, there, talk } = await begin();
    const piece = `data: ${'x'.repeat(65_536)}\n\n`;
    talk.res.type('text/event-stream');
    for (let n = 0; n < 80; n += 1) talk.res.write(piece);
    await until(
      'all of it is told',
      () => shared.relay.bodyOf(talk.streamId).length === 80 * piece.length,
    );
    const slow = connect(there.server.port, 'localhost');
    slow.write(`GET /streams/${talk.streamId} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    slow.pause();
    const fast = await resume(there, talk.streamId);
    await until('the fast one has all', () => (fast.reply?.body.length ?? 0) === 80 * piece.length);
    const socket = there.server.sockets.find(({ remotePort }) => remotePort === slow.localPort);
    expect(socket?.writableLength).toBeLessThan(2_000_000);
    slow.destroy();
    fast.rst();
    const owner = shared.relay.ownerOf(talk.streamId);
    const following = (): readonly string[] | undefined =>
      shared.relay.exchanges.findLast(({ instance }) => instance !== owner)?.following;
    expect(following()).toEqual([talk.streamId]);
    await until('nobody reads', () => following()?.length === 0);
    const { reads } = shared.relay;
    const { length } = shared.relay.exchanges;
    await until('some time is over', () => shared.relay.exchanges.length > length + 1);
    expect(shared.relay.reads).toBe(reads);
  });
});

describe('resumeHandler()', () => {
  it.each(['-1', '1.5', 'x', '', '1e3', '9'.repeat(30)])(
    'answers 400 for the offset %j',
    async (offset) => {
      const { there, talk } = await begin();
      const reply = await (await resume(there, talk.streamId, `?offset=${offset}`)).over();
      expect(reply.status).toBe(400);
    },
  );

  it('reads the offset from the query and from Last-Event-ID, and takes the greater one', async () => {
    const { shared, there, talk } = await begin();
    const whole = chatChunk({ content: 'hello' }) + chatChunk({}, 'stop');
    talk.res.type('text/event-stream').end(whole);
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    const byHeader = await resume(there, talk.streamId, '', { 'last-event-id': '7' });
    expect((await byHeader.over()).body.toString()).toBe(whole.slice(7));
    const byBoth = await resume(there, talk.streamId, '?offset=9', { 'last-event-id': '7' });
    expect((await byBoth.over()).body.toString()).toBe(whole.slice(9));
    const byLater = await resume(there, talk.streamId, '?offset=7', { 'last-event-id': '9' });
    expect((await byLater.over()).body.toString()).toBe(whole.slice(9));
  });

  it('answers 416 beyond the end, and sends only the end when the offset is the end', async () => {
    const { shared, here, there, talk } = await begin();
    const whole = chatChunk({ content: 'hello' }) + chatChunk({}, 'stop');
    talk.res.type('text/event-stream').end(whole);
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    for (const replica of [here, there]) {
      const beyond = await (
        await resume(replica, talk.streamId, `?offset=${whole.length + 1}`)
      ).over();
      expect(beyond.status).toBe(416);
      const at = await (await resume(replica, talk.streamId, `?offset=${whole.length}`)).over();
      expect(at).toMatchObject({ status: 200, whole: true });
      expect(at.body.length).toBe(0);
    }
  });

  it('waits if the offset is beyond what the engine has so far', async () => {
    const { shared, there, talk } = await begin();
    const text = chatChunk({ content: 'hello' });
    talk.res.type('text/event-stream').write(text);
    await relayed(shared, talk.streamId, text);
    const more = chatChunk({ content: ' more' });
    const reader = await resume(there, talk.streamId, `?offset=${text.length + more.length}`);
    talk.res.write(more);
    talk.res.write(chatChunk({ content: ' and more' }));
    await reader.sees('and more');
    expect(reader.text).toBe(chatChunk({ content: ' and more' }));
  });

  it('answers 404 for an unknown and for a denied stream, with the same body', async () => {
    const { shared, here, there, talk } = await begin();
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    await relayed(shared, talk.streamId, chatChunk({ content: 'hello' }));
    for (const replica of [here, there]) {
      const denied = await resume(replica, talk.streamId, '', { 'x-user': 'mallory' });
      const unknown = await resume(replica, 'nobody');
      const [first, second] = [await denied.over(), await unknown.over()];
      expect(first.status).toBe(404);
      expect(second.status).toBe(404);
      expect(first.body.equals(second.body)).toBe(true);
    }
  });

  it('finds the live stream of a conversation, and answers 204 if there is none', async () => {
    const { shared, here, there, talk } = await begin();
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    await relayed(shared, talk.streamId, chatChunk({ content: 'hello' }));
    for (const replica of [here, there]) {
      const reader = await openClient(replica.server, '/chat/c/stream');
      await reader.sees('hello');
      const headers = { 'x-user': 'mallory' };
      const denied = await openClient(replica.server, '/chat/c/stream', { headers });
      expect((await denied.over()).status).toBe(204);
      expect((await (await openClient(replica.server, '/chat/other/stream')).over()).status).toBe(
        204,
      );
    }
    talk.res.end(chatChunk({}, 'stop'));
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    for (const replica of [here, there]) {
      expect((await (await openClient(replica.server, '/chat/c/stream')).over()).status).toBe(204);
    }
  });

  it('answers 503 while the relay is unavailable, but resumes streams that are live in this process', async () => {
    const { shared, here, there, talk } = await begin();
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    await relayed(shared, talk.streamId, chatChunk({ content: 'hello' }));
    shared.relay.fail(new Error('away'));
    const away = await (await resume(there, talk.streamId)).over();
    expect(away.status).toBe(503);
    expect(away.headers['retry-after']).toBe('1');
    const reader = await resume(here, talk.streamId);
    await reader.sees('hello');
  });

  it('answers 405 for other methods and 429 for too many readers', async () => {
    const { here, talk } = await begin({
      routes: (app) => {
        app.all('/few/:streamId', (req, res, next) => few(req, res, next));
      },
    });
    const few = here.keep.resumeHandler({ authorize: () => true, maxReaders: 1 });
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    const post = await openClient(here.server, `/few/${talk.streamId}`, { method: 'POST' });
    expect((await post.over()).headers['allow']).toBe('GET');
    const first = await openClient(here.server, `/few/${talk.streamId}`);
    await first.sees('hello');
    const second = await openClient(here.server, `/few/${talk.streamId}`);
    expect((await second.over()).status).toBe(429);
  });

  it('saves no message of a resumed response, even behind a guard', async () => {
    const { shared, here, there, talk } = await begin({
      routes: (app) => {
        app.get('/guarded/:streamId', (req, res, next) => guarded(req, res, next));
      },
    });
    const resumed = here.keep.resumeHandler({ authorize: () => true });
    const guarded = here.keep.guard({}, resumed);
    const whole = chatChunk({ content: 'hello' }) + chatChunk({}, 'stop');
    talk.res.type('text/event-stream').end(whole);
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    const reply = await (await openClient(here.server, `/guarded/${talk.streamId}`)).over();
    expect(reply.body.toString()).toBe(whole);
    expect(here.recorded.starts).toBe(1);
    expect(there.recorded.starts).toBe(0);
    expect(shared.store.asked).toHaveLength(1);
  });

  it('requires a relay, and an authorize function', async () => {
    const { lastchunk } = await import('../../../src/index.ts');
    await using bare = lastchunk();
    expect(() => bare.resumeHandler({ authorize: () => true })).toThrow('`relay`');
    const { here } = await begin();
    // A mistake that TypeScript would find.
    expect(() => here.keep.resumeHandler({} as never)).toThrow('`authorize`');
    expect(() => here.keep.resumeHandler({ authorize: () => true, maxReaders: 0 })).toThrow(
      '`maxReaders`',
    );
    const { createMemoryRelay } = await import('../../support/memory-relay.ts');
    expect(() => lastchunk({ relay: createMemoryRelay().connect() })).toThrow('`store`');
  });
});

describe('resumeHandler() under Express 4 and under node:http alone', () => {
  it.each(['express4', 'http'] as const)('resumes a stream: %s', async (kind) => {
    const { shared, here, talk } = await begin();
    const whole = chatChunk({ content: 'hello' }) + chatChunk({}, 'stop');
    talk.res.type('text/event-stream').end(whole);
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    const resumed = here.keep.resumeHandler({ authorize: () => true });
    const app = express4();
    app.get('/streams/:streamId', (req, res, next) => resumed(req, res, next));
    const server = await serve(kind === 'express4' ? app : (req, res) => void resumed(req, res));
    const client = await openClient(server, `/streams/${talk.streamId}?offset=5`);
    const reply = await client.over();
    expect(reply).toMatchObject({ status: 200, whole: true });
    expect(reply.body.toString()).toBe(whole.slice(5));
    expect((await (await openClient(server, '/streams/nobody')).over()).status).toBe(404);
  });
});

describe('a stream whose client has left', () => {
  /** A stream that is read elsewhere, and whose client leaves. */
  async function beginDetached(finish: { timeoutMs?: number; maxBytes?: number }) {
    const all = await begin({ guard: { finish } });
    const { shared, here, there, client, talk } = all;
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    await client.sees('hello');
    await relayed(shared, talk.streamId, chatChunk({ content: 'hello' }));
    const reader = await resume(there, talk.streamId);
    await reader.sees('hello');
    client.rst();
    await until('it is detached', () => here.recorded.finishing.length > 0);
    return { ...all, reader };
  }

  /** The budget of a stream that nobody reads, and that began later, is over: so is that of every earlier one. */
  async function spendBudget({ server, recorded, talks }: Replica): Promise<void> {
    const client = await openClient(server, '/chat/unread', { method: 'POST' });
    const talk = await until('its handler runs', () => talks[1]);
    talk.res.type('text/event-stream').write(chatChunk({ content: 'unread' }));
    await client.sees('unread');
    client.rst();
    await until('a budget is spent', () => recorded.refusals.length > 0);
  }

  it('continues beyond its time while it is read elsewhere', async () => {
    const { here, reader, talk } = await beginDetached({ timeoutMs: 300 });
    await spendBudget(here);
    expect(here.recorded.refusals).toEqual(['time']);
    talk.res.write(chatChunk({ content: ' still here' }));
    await reader.sees('still here');
  });

  it('continues beyond its bytes while it is read elsewhere', async () => {
    const { shared, here, reader, talk } = await beginDetached({ maxBytes: 8 });
    const isTold = (): boolean =>
      shared.relay.exchanges.some(({ following }) => following.includes(talk.streamId));
    await until('the engine knows its reader', isTold);
    talk.res.write(chatChunk({ content: ' more than the budget' }));
    talk.res.end(chatChunk({}, 'stop'));
    expect((await reader.over()).whole).toBe(true);
    expect(here.recorded.refusals).toEqual([]);
  });

  it('is abandoned when its last reader leaves', async () => {
    const { here, reader } = await beginDetached({ timeoutMs: 300 });
    reader.rst();
    expect(await here.recorded.ended()).toMatchObject({ outcome: 'disconnected' });
    expect(here.recorded.refusals).toEqual(['time']);
  });

  it('is abandoned if the relay cannot report readers of other instances', async () => {
    const { shared, here, reader } = await beginDetached({ timeoutMs: 300 });
    reader.rst();
    shared.relay.fail(new Error('away'));
    await until('a budget is spent', () => here.recorded.refusals.length > 0);
  });
});
