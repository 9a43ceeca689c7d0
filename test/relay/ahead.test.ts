/** `ahead: true`: what leaves for a client is in the engine. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { AheadGate } from '../../src/relay/ahead.ts';
import type { RelayedStream } from '../../src/relay/relayed-stream.ts';
import { createTestClock } from '../saver/fakes.ts';
import { chatChunk } from '../support/frames.ts';
import { openClient } from '../support/http-client.ts';
import { createShared, resume, type Shared, startReplica } from '../support/replicas.ts';
import { until } from '../support/until.ts';

/** One instance that lets bytes go when the engine has them, and a stream that is live there. */
async function begin() {
  const shared = createShared();
  const here = await startReplica(shared, {
    relay: { engine: shared.relay.connect(), flushMs: 5_000, leaseMs: 60_000, ahead: true },
  });
  const client = await openClient(here.server, '/chat/c', { method: 'POST' });
  const talk = await until('the handler runs', () => here.talks[0]);
  talk.res.type('text/event-stream').flushHeaders();
  await until('the head is there', () => client.reply);
  return { shared, here, client, talk };
}

/** What waits is told, without an exchange being answered. */
const asked = ({ relay }: Shared, before: number) =>
  until('the engine is asked', () => relay.exchanges.length > before);

const HELLO = chatChunk({ content: 'hello' });

describe('with `ahead`', () => {
  it('bytes are sent when the engine has them, at once and not at the next flush', async () => {
    const { shared, client, talk } = await begin();
    shared.relay.hold();
    let called = false;
    talk.res.write(HELLO, () => (called = true));
    await until('an exchange waits', () => shared.relay.waiting > 0);
    expect(client.text).toBe('');
    expect(called).toBe(false);
    shared.relay.answer();
    await client.sees('hello');
    await until('the write is called back', () => called);
    expect(shared.relay.bodyOf(talk.streamId)).toBe(HELLO);
  });

  it('chunks written meanwhile are in the next exchange, and only one exchange runs at a time', async () => {
    const { shared, client, talk } = await begin();
    const before = shared.relay.exchanges.length;
    const words = Array.from({ length: 200 }, (_, n) => chatChunk({ content: ` ${n}` }));
    for (const word of words) {
      talk.res.write(word);
      await new Promise(setImmediate);
      expect(shared.relay.bodyOf(talk.streamId).startsWith(client.text)).toBe(true);
    }
    talk.res.end(chatChunk({}, 'stop'));
    expect((await client.over()).body.toString()).toBe(words.join('') + chatChunk({}, 'stop'));
    expect(shared.relay.exchanges.length - before).toBeLessThan(words.length);
  });

  it('a buffer that its handler reuses is sent with its original content', async () => {
    const { client, talk } = await begin();
    const buffer = Buffer.alloc(HELLO.length);
    for (const letter of 'abcdefgh') {
      buffer.write(chatChunk({ content: letter.repeat(5) }));
      talk.res.write(buffer);
      buffer.fill(0);
    }
    talk.res.end();
    const { body } = await client.over();
    expect(body.includes(0)).toBe(false);
    expect(body.toString()).toContain('hhhhh');
  });

  it('a response that is destroyed first sends what was written before', async () => {
    const { shared, client, talk } = await begin();
    shared.relay.hold();
    talk.res.write(HELLO);
    await until('an exchange waits', () => shared.relay.waiting > 0);
    talk.res.destroy();
    shared.relay.answer();
    const reply = await client.over();
    expect(reply.whole).toBe(false);
    expect(reply.body.toString()).toBe(HELLO);
  });

  it('a client that leaves meanwhile is detached, and the message is saved', async () => {
    const { shared, here, client, talk } = await begin();
    shared.relay.hold();
    talk.res.write(HELLO);
    await until('an exchange waits', () => shared.relay.waiting > 0);
    client.rst();
    await until('it is detached', () => here.recorded.finishing.length > 0);
    shared.relay.answer();
    talk.res.end(chatChunk({}, 'stop'));
    expect(await here.recorded.ended()).toMatchObject({ outcome: 'disconnected', save: 'saved' });
    expect(shared.store.row).toMatchObject({ text: 'hello', complete: true });
  });

  it('a reader in this process waits for the engine too', async () => {
    const { shared, here, talk } = await begin();
    const reader = await resume(here, talk.streamId);
    await until('it follows', () => reader.reply);
    shared.relay.hold();
    talk.res.write(HELLO);
    await until('an exchange waits', () => shared.relay.waiting > 0);
    expect(reader.text).toBe('');
    shared.relay.answer();
    await reader.sees('hello');
  });

  it('streams continue while the engine is unavailable, which is counted, and wait again when it is back', async () => {
    const { shared, here, client, talk } = await begin();
    shared.relay.fail(new Error('away'));
    talk.res.write(HELLO);
    await client.sees('hello');
    talk.res.write(chatChunk({ content: ' again' }));
    await client.sees('again');
    expect(here.keep.health()).toMatchObject({
      status: 'degraded',
      relay: { up: false, unconfirmed: 1 },
    });
    shared.relay.fail(undefined);
    await until('it is told', () => shared.relay.bodyOf(talk.streamId).includes('again'));
    shared.relay.hold();
    talk.res.write(chatChunk({ content: ' more' }));
    await until('an exchange waits', () => shared.relay.waiting > 0);
    expect(client.text).not.toContain('more');
    shared.relay.answer();
    await client.sees('more');
  });

  it('an engine that does not answer holds no stream for longer than 2 s', async () => {
    const { shared, here, client, talk } = await begin();
    shared.relay.hold();
    talk.res.write(HELLO);
    await client.sees('hello');
    expect(here.keep.health().relay).toMatchObject({ unconfirmed: 1 });
    talk.res.write(chatChunk({ content: ' again' }));
    await client.sees('again');
    shared.relay.answer();
  });

  it('an engine that does not answer holds up one wait, and no later one until an exchange succeeds', async () => {
    const clock = createTestClock();
    // All of a stream that is asked for.
    const stream = { hasEveryByte: false } as RelayedStream;
    const silent = {
      isAway: false,
      streamOf: () => stream,
      sync: () => new Promise<boolean>(() => {}),
    };
    const gate = new AheadGate(silent, clock);
    const [first, second] = [gate.of('first'), gate.of('second')];
    const wait = first();
    expect(second()).toBeInstanceOf(Promise);
    await clock.advance(2_000);
    await wait;
    expect([first(), second()]).toEqual([undefined, undefined]);
    expect(gate.unconfirmed).toBe(2);
    gate.noteAnswer();
    expect(first()).toBeInstanceOf(Promise);
  });

  it('an instance whose lease was lost sends its streams again before they continue', async () => {
    const { shared, client, talk } = await begin();
    talk.res.write(HELLO);
    await client.sees('hello');
    shared.relay.advance(60_001);
    await shared.relay.connect().claim('nobody', 1);
    const before = shared.relay.exchanges.length;
    talk.res.write(chatChunk({ content: ' again' }));
    await client.sees('again');
    await asked(shared, before);
    expect(shared.relay.bodyOf(talk.streamId)).toContain('again');
  });

  it('pipelined responses are sent in order', async () => {
    const { here } = await begin();
    const socket = connect(here.server.port, 'localhost');
    let got = '';
    socket.on('data', (bytes: Buffer) => (got += bytes.toString()));
    const ask = (id: string) => `POST /chat/${id} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`;
    socket.write(ask('p1') + ask('p2'));
    const second = await until('both handlers run', () => here.talks[2]);
    second.res.type('text/event-stream').end(chatChunk({ content: 'second' }));
    here.talks[1]?.res.type('text/event-stream').end(chatChunk({ content: 'first' }));
    await until('both are there', () => got.includes('second'));
    expect(got.indexOf('first')).toBeLessThan(got.indexOf('second'));
    socket.destroy();
  });
});
