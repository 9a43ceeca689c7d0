/** What answers and ids may hold: nothing that a client or an upstream can choose loses a message. */
import type { RequestHandler } from 'express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../src/index.ts';
import { createChat } from '../support/chat.ts';
import { coded } from '../support/errors.ts';
import { chatChunk, readDeltas, sse } from '../support/frames.ts';
import { createFullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { installTracing } from '../support/tracing.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

const COMPLETED = { outcome: 'completed', side: 'server', complete: true, revision: 0 } as const;

describe('text that PostgreSQL cannot store', () => {
  it.each([
    ['a NUL', 'a\0b', 'a\uFFFDb', '1'],
    ['lone surrogates', 'a\uD83Db\uDE00c', 'a\uFFFDb\uFFFDc', '2'],
  ])(
    '(%s) is replaced and counted, and the rest is unchanged',
    async (_, content, stored, replaced) => {
      const { fixture, ask } = await open((_req, res) => {
        res.type('text/event-stream').write(chatChunk({ content: 'héllo 👩‍🚀 ' }));
        res.write(chatChunk({ content }));
        res.end(chatChunk({}, 'stop'));
      });
      expect((await ask()).whole).toBe(true);
      const row = await fixture.agree(COMPLETED);
      expect(row).toMatchObject({ content: `héllo 👩‍🚀 ${stored}`, replaced });
    },
  );

  it('does not include an emoji that is split over chunks and frames', async () => {
    const { fixture, ask } = await open((_, res) => {
      res.type('text/event-stream');
      const [high = '', low = ''] = '😀'.split('');
      const frames = chatChunk({ content: `a${high}` }) + chatChunk({ content: `${low}b👩‍🚀` });
      const bytes = Buffer.from(frames + chatChunk({ content: '✓' }));
      for (let at = 0; at < bytes.length; at += 3) res.write(bytes.subarray(at, at + 3));
      res.end(chatChunk({}, 'stop'));
    });
    await ask();
    expect(await fixture.agree(COMPLETED)).toMatchObject({ content: 'a😀b👩‍🚀✓', replaced: '0' });
  });

  it('is replaced in events and metadata as well', async () => {
    const options: GuardOptions = {
      events: true,
      message: () => ({ conversationId: 'c\0', metadata: { 'k\0': ['v\0', '\uD83D'] } }),
    };
    const { fixture, ask } = await open((_, res) => {
      res.type('text/event-stream').end(chatChunk({ content: 'a\0' }) + chatChunk({}, 'stop'));
    }, options);
    await ask();
    const row = await fixture.agree(COMPLETED);
    expect(Number(row?.replaced)).toBeGreaterThan(0);
    expect(row?.events).toHaveLength(2);
    expect(row?.conversation_id).not.toContain('\0');
  });
});

describe('the upstream changes its JSON', () => {
  it('and the answer is kept as it came, and counted as unknown text', async () => {
    const frames = [{ v2: { kind: 'fragment', body: ['hello'] } }, { v2: { kind: 'end' } }];
    const { fixture, ask } = await open((_, res) => {
      res.type('text/event-stream');
      for (const frame of frames) res.write(sse(frame));
      res.end();
    });
    await ask();
    const row = await fixture.agree({ outcome: 'completed', side: 'server', revision: 0 });
    expect(row?.events).toEqual(frames);
    const scrape = await fixture.scrape();
    expect(scrape.sum('lastchunk_text_unknown_total')).toBe(1);
    expect(scrape.sum('lastchunk_saves_skipped_total')).toBe(0);
  });

  it('and an answer of usage, roles and heartbeats alone is empty', async () => {
    const { fixture, ask } = await open((_, res) => {
      res.type('text/event-stream').write(chatChunk({ role: 'assistant' }));
      res.write(': heartbeat\n\n');
      res.write(sse({ object: 'chat.completion.chunk', choices: [], usage: { total_tokens: 1 } }));
      res.write(chatChunk({}, 'stop'));
      res.end('data: [DONE]\n\n');
    });
    await ask();
    const verdict = { outcome: 'completed', side: 'server', save: 'empty' } as const;
    expect(await fixture.agree(verdict)).toBeUndefined();
  });
});

describe('an answer that is cut inside the arguments of a tool call', () => {
  it('is kept with its events, as incomplete, so that the history can be replayed', async () => {
    const call = (index: number, rest: object): object => ({ tool_calls: [{ index, ...rest }] });
    const deltas = [
      { role: 'assistant', content: 'I look it up.' },
      call(0, { id: 'call_1', type: 'function', function: { name: 'search', arguments: '' } }),
      call(0, { function: { arguments: '{"city":"Ber' } }),
    ];
    const fixture = await createFullFixture(database, spans);
    const chat = await createChat(fixture, async (_, res) => {
      res.type('text/event-stream');
      for (const delta of deltas) res.write(chatChunk(delta));
      await new Promise(setImmediate);
      throw new TypeError('terminated', { cause: coded('other side closed', 'UND_ERR_SOCKET') });
    });
    const reply = await (await chat.ask()).over();
    expect(reply.whole).toBe(false);
    const row = await fixture.agree({
      outcome: 'failed',
      side: 'upstream',
      text: 'I look it up.',
      complete: false,
      revision: 0,
    });
    const frames = deltas.map((delta) => JSON.parse(chatChunk(delta).slice('data: '.length)));
    expect(row?.events).toEqual(frames);
    expect(reply.body.toString()).toBe(deltas.map((delta) => chatChunk(delta)).join(''));
  });
});

describe('one buffer that is reused for every write', () => {
  it('does not change the stored text, which is what the client saw', async () => {
    const { fixture, ask } = await open(async (_, res) => {
      const shared = Buffer.alloc(1024);
      res.type('text/event-stream');
      for (const content of ['The ', 'answer ', 'is 42.']) {
        const length = shared.write(chatChunk({ content }));
        await new Promise<void>((resolve) => {
          res.write(shared.subarray(0, length), () => resolve());
        });
        shared.fill('#');
      }
      res.end(chatChunk({}, 'stop'));
    });
    expect(readDeltas((await ask()).body.toString())).toBe('The answer is 42.');
    expect(await fixture.agree(COMPLETED)).toMatchObject({ content: 'The answer is 42.' });
  });
});

describe('ids from the URL', () => {
  const long = 'x'.repeat(12 * 1024);
  const lone = '\uD83D';

  it.each([
    ['a NUL', { conversationId: 'a\0b', id: 'm\0' }],
    ['12 KB', { conversationId: long, id: long, role: long }],
    ['lone surrogates', { conversationId: lone, id: lone }],
    ['SQL', { conversationId: "'; DROP TABLE lastchunk_messages; --", id: "'--" }],
    ['empty strings', { conversationId: '', id: '', role: '' }],
    ['metadata without bounds', { conversationId: 'c', metadata: { long: long.repeat(10) } }],
    [
      'metadata that is no JSON',
      { conversationId: 'c', metadata: { tokens: 10n, at: new Date() } },
    ],
  ])('with %s never prevent a save', async (_, identity) => {
    const { fixture, ask } = await open(hello, { message: () => identity });
    expect((await ask()).whole).toBe(true);
    await fixture.recorded.ended();
    expect(fixture.recorded.saves).toMatchObject([{ result: 'saved' }]);
    const [row, ...others] = await fixture.rows();
    expect(others).toEqual([]);
    expect(row).toMatchObject({ content: 'hello', complete: true });
    expect(Buffer.byteLength(row?.id ?? '')).toBeLessThanOrEqual(512);
    expect(Buffer.byteLength(row?.conversation_id ?? '')).toBeLessThanOrEqual(512);
    expect(Buffer.byteLength(row?.role ?? '')).toBeLessThanOrEqual(512);
  });

  it('that are long are stored whole in the metadata, and stay distinct', async () => {
    const { fixture, ask } = await open(hello, {
      message: (req) => ({ conversationId: long + String(req.params['id']) }),
    });
    await ask('1');
    await ask('2');
    await fixture.recorded.ended(2);
    const rows = await fixture.rows();
    expect(new Set(rows.map(({ conversation_id }) => conversation_id)).size).toBe(2);
    expect(JSON.stringify(rows[0]?.metadata)).toContain(`${long}1`);
  });

  it('that belong to another message, or are used twice, change no other row', async () => {
    const { fixture, ask } = await open(
      (req, res) => {
        const content = `for ${String(req.params['id'])}`;
        res.type('text/event-stream').end(chatChunk({ content }) + chatChunk({}, 'stop'));
      },
      { message: (req) => ({ id: 'shared', conversationId: req.params['id'] }) },
    );
    await ask('alice');
    await fixture.recorded.ended(1);
    await Promise.all([ask('mallory'), ask('trudy')]);
    await fixture.recorded.ended(3);
    const rows = await fixture.rows();
    expect(rows).toHaveLength(3);
    const own = rows.find(({ id }) => id === 'shared');
    expect(own).toMatchObject({ conversation_id: 'alice', content: 'for alice' });
    for (const row of rows.filter((one) => one !== own)) {
      expect(row.id).toBe(row.stream_id);
      expect(row.content).toBe(`for ${row.conversation_id}`);
      expect(row.metadata).toMatchObject({ lastchunk: { requestedId: 'shared' } });
    }
    const scrape = await fixture.scrape();
    expect(scrape.sum('lastchunk_id_conflicts_total')).toBe(2);
    expect(scrape.sum('lastchunk_internal_errors_total')).toBe(0);
    expect(scrape.sum('lastchunk_saves_total', { result: 'saved' })).toBe(3);
  });
});

const hello: RequestHandler = (_, res) => {
  res.type('text/event-stream').end(chatChunk({ content: 'hello' }) + chatChunk({}, 'stop'));
};

async function open(handler: RequestHandler, options?: GuardOptions) {
  const fixture = await createFullFixture(database, spans);
  const chat = await createChat(fixture, handler, options);
  return { fixture, ask: async (id?: string) => (await chat.ask(id)).over() };
}
