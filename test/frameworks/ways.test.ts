/**
 * The seven ways in which a handler ends, in every framework: what the client gets, what is stored, and that both
 * are called by the same name.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { turns, until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';
import { createRecordingObserver } from '../support/recording-observer.ts';
import { type Answer, type CommonOptions, FRAMEWORKS } from './served.ts';

const frame = (text: string): string => `data: ${JSON.stringify({ text })}\n\n`;
const DONE = 'data: [DONE]\n\n';

describe.each(Object.entries(FRAMEWORKS))('%s', (name, start) => {
  /** A route that answers with `answer`, under a guard whose store is memory. */
  async function open(answer: Answer, options: CommonOptions = {}) {
    const store = createMemoryStore();
    const recorded = createRecordingObserver();
    const keep = lastchunk({ store, journal: false, observer: recorded.observer });
    onTestFinished(async () => {
      await keep.close({ deadlineMs: 1000 });
    });
    const port = await start(keep, answer, { route: '/chat/:id', ...options });
    const client = await openClient({ port, transport: 'http' }, '/chat/42');
    return { store, recorded, client };
  }

  it('a whole answer is completed, and saved before the last frame is read', async () => {
    const { store, recorded, client } = await open(async function* () {
      yield frame('one');
      yield frame(' two');
      yield DONE;
    });
    await client.sees('[DONE]');
    expect(store.row).toMatchObject({ text: 'one two', conversationId: '42', complete: true });
    expect((await client.over()).body.toString()).toBe(frame('one') + frame(' two') + DONE);
    expect(client.reply?.headers['x-message-id']).toBe(store.row.id);
    expect(await recorded.ended()).toMatchObject({ outcome: 'completed', side: 'server' });
  });

  it.each(['fin', 'rst'] as const)(
    'a client that leaves by %s ends the stream, and the answer is finished and kept',
    async (leave) => {
      const gate = createGate();
      const { store, recorded, client } = await open(async function* () {
        yield frame('one');
        await gate.opened;
        yield frame(' two');
        yield DONE;
      });
      await client.sees('one');
      client[leave]();
      await until('the guard has noticed', () => recorded.finishing.length > 0);
      gate.open();
      expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
      expect(store.row).toMatchObject({ text: 'one two', complete: true });
    },
  );

  it('a client that leaves under `keep`: what was read is kept, and the source is closed', async () => {
    let released = false;
    const answer: Answer = async function* () {
      try {
        yield frame('one');
        for (;;) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          yield ': still here\n\n';
        }
      } finally {
        released = true;
      }
    };
    const { store, recorded, client } = await open(answer, { policy: { disconnected: 'keep' } });
    await client.sees('one');
    client.fin();
    expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(store.row).toMatchObject({ text: 'one', complete: false });
    // A plain loop is not told: it has to look at the signal.
    if (name !== 'node:http') await until('the source is released', () => released);
  });

  it('an error behind the first frame: the stream has failed, what was seen is kept, and the client gets no clean end', async () => {
    const gate = createGate();
    const { store, recorded, client } = await open(async function* () {
      yield frame('one');
      await gate.opened;
      throw Object.assign(new Error('the model broke'), { code: 'EBROKEN' });
    });
    await client.sees('one');
    gate.open();
    expect((await client.over()).whole).toBe(false);
    expect(await recorded.ended()).toMatchObject({ outcome: 'failed', errorType: 'EBROKEN' });
    expect(store.row).toMatchObject({ text: 'one', complete: false });
  });

  it('an error before the answer: the framework answers, and there is no stream', async () => {
    const { store, recorded, client } = await open(() => {
      throw new Error('no model');
    });
    const reply = await client.over();
    expect(reply).toMatchObject({ status: 500, whole: true });
    expect(reply.headers).not.toHaveProperty('x-stream-id');
    await turns();
    expect([recorded.starts, recorded.dues, store.asked]).toEqual([0, 0, []]);
  });

  it('an error before the first token ends no answer cleanly either', async () => {
    const { store, recorded, client } = await open(async function* () {
      await turns(1);
      yield* [];
      throw new Error('no model');
    });
    const reply = await client.over();
    expect(reply.status === 500 || !reply.whole).toBe(true);
    await turns();
    expect(recorded.ends.filter(({ outcome }) => outcome === 'completed')).toEqual([]);
    expect(store.rows.size).toBe(0);
  });

  it('a client that reads nothing and leaves: the whole answer is kept', async () => {
    const long = 'x'.repeat(64 * 1024);
    const gate = createGate();
    const { store, recorded, client } = await open(async function* () {
      yield frame('one');
      await gate.opened;
      for (let i = 0; i < 100; i += 1) yield frame(long);
      yield DONE;
    });
    await client.sees('one');
    client.pause();
    gate.open();
    await turns(50);
    client.rst();
    expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(store.row.text).toHaveLength('one'.length + 100 * long.length);
    expect(store.row.complete).toBe(true);
  });
});

function createGate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
