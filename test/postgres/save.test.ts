import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Message } from '../../src/core/message.ts';
import { postgres } from '../../src/postgres/index.ts';
import type { IdConflict, PostgresStore } from '../../src/postgres/index.ts';
import { useDatabase } from '../support/database.ts';
import { aMessage, look, withClient } from './messages.ts';

const database = useDatabase();
let store: PostgresStore;
let conflicts: IdConflict[];
beforeEach(async () => {
  store = postgres({ connectionString: database.url, migrate: true });
  conflicts = [];
  store.listen({ onIdConflict: (conflict) => conflicts.push(conflict) });
});
afterEach(() => store.close());

const rows = (columns = '*') =>
  look(database.url, `SELECT ${columns} FROM lastchunk_messages ORDER BY started_at, id`);

describe('a save', () => {
  const full: Message = aMessage({
    id: 'an id',
    events: [{ choices: [{ delta: { content: 'Hé' } }] }, 'two', 3],
    metadata: { model: 'm', lastchunk: { finishReason: 'stop' } },
    text: 'Hé, "quoted" \\ {braces} NULL 😀',
    complete: false,
    outcome: 'disconnected',
    side: 'client',
    revision: 2,
    chunks: 7,
    bytes: 5_000_000_000,
    droppedBytes: 11,
    traceId: '0af7651916cd43dd8448eb211c80319c',
  });
  const expected = {
    id: 'an id',
    stream_id: full.streamId,
    conversation_id: 'conversation',
    role: 'assistant',
    content: full.text,
    complete: false,
    outcome: 'disconnected',
    side: 'client',
    revision: 2,
    events: full.events,
    metadata: full.metadata,
    chunks: '7',
    bytes: '5000000000',
    dropped_bytes: '11',
    replaced: '0',
    trace_id: full.traceId,
    started_at: full.startedAt,
    ended_at: full.endedAt,
    saved_at: expect.any(Date),
  };

  it('keeps every field of a message that comes alone', async () => {
    await store.save([full]);
    expect(await rows()).toEqual([expected]);
  });

  it('keeps every field of messages that come together', async () => {
    const bare = aMessage({
      id: 'bare',
      conversationId: null,
      text: '',
      startedAt: new Date('2027-01-01'),
    });
    await store.save([bare, full]);
    expect(await rows()).toEqual([
      expected,
      expect.objectContaining({
        id: 'bare',
        conversation_id: null,
        content: '',
        events: null,
        metadata: null,
        trace_id: null,
      }),
    ]);
  });

  it('of nothing does nothing', async () => {
    await store.save([]);
    expect(await rows()).toEqual([]);
  });

  it('writes when the row changed last', async () => {
    await store.save([aMessage({ id: 'a', streamId: 's', text: 'x' })]);
    const [before] = await rows('saved_at');
    await store.save([aMessage({ id: 'a', streamId: 's', text: 'longer' })]);
    const [after] = await rows('saved_at');
    expect(Number(after?.['saved_at'])).toBeGreaterThan(Number(before?.['saved_at']));
  });
});

describe('the rank', () => {
  type Rank = Pick<Message, 'revision' | 'complete' | 'text'>;
  const table: readonly { name: string; kept: Rank; offered: Rank; wins: boolean }[] = [
    {
      name: 'a higher revision beats complete and longer',
      kept: { revision: 0, complete: true, text: 'long text' },
      offered: { revision: 1, complete: false, text: 's' },
      wins: true,
    },
    {
      name: 'a lower revision never wins',
      kept: { revision: 1, complete: false, text: 's' },
      offered: { revision: 0, complete: true, text: 'long text' },
      wins: false,
    },
    {
      name: 'complete beats a longer partial',
      kept: { revision: 0, complete: false, text: 'long text' },
      offered: { revision: 0, complete: true, text: 's' },
      wins: true,
    },
    {
      name: 'a longer partial never replaces complete',
      kept: { revision: 0, complete: true, text: 's' },
      offered: { revision: 0, complete: false, text: 'long text' },
      wins: false,
    },
    {
      name: 'longer beats shorter',
      kept: { revision: 0, complete: false, text: 'ab' },
      offered: { revision: 0, complete: false, text: 'abc' },
      wins: true,
    },
    {
      name: 'length counts characters, not their halves',
      kept: { revision: 0, complete: false, text: 'abcd' },
      offered: { revision: 0, complete: false, text: '😀😀😀' },
      wins: false,
    },
    {
      name: 'an equal rank changes nothing',
      kept: { revision: 0, complete: true, text: 'first' },
      offered: { revision: 0, complete: true, text: 'again' },
      wins: false,
    },
  ];
  for (const { name, kept, offered, wins } of table) {
    const first = aMessage({ id: 'a', streamId: 's', ...kept });
    const second = aMessage({ id: 'a', streamId: 's', ...offered });
    const winner = wins ? second : first;

    it(`${name}, saved one after the other`, async () => {
      await store.save([first]);
      await store.save([second]);
      expect(await rows('content')).toEqual([{ content: winner.text }]);
    });

    it(`${name}, in a batch over a row that is there`, async () => {
      await store.save([first]);
      await store.save([second, aMessage({ startedAt: new Date('2027-01-01') })]);
      expect(await rows('content')).toEqual([{ content: winner.text }, { content: 'Hello' }]);
    });

    it(`${name}, both in one batch`, async () => {
      await store.save([first, second]);
      expect(await rows('content')).toEqual([{ content: winner.text }]);
    });

    it(`${name}, when the stream is there under another id`, async () => {
      await store.save([{ ...first, id: 'other' }]);
      await store.save([second]);
      expect(await rows('id, content')).toEqual([{ id: 'other', content: winner.text }]);
      expect(conflicts).toEqual([]);
    });
  }

  it('lets the retry after a lost answer meet its own row', async () => {
    const messages = [aMessage(), aMessage(), aMessage()];
    await store.save(messages);
    await store.save(messages);
    for (const message of messages) await store.save([message]);
    expect(await rows('id')).toHaveLength(3);
    expect(conflicts).toEqual([]);
  });
});

describe('an id that belongs to another stream', () => {
  const owner = aMessage({ id: 'taken', streamId: 'owner', text: 'mine' });
  const guest = aMessage({
    id: 'taken',
    streamId: 'guest',
    text: 'longer than the owner',
    revision: 5,
    metadata: { model: 'm', lastchunk: { finishReason: 'stop' } },
    startedAt: new Date('2027-01-01'),
  });
  const kept = [
    { id: 'taken', stream_id: 'owner', content: 'mine', metadata: null },
    {
      id: 'guest',
      stream_id: 'guest',
      content: 'longer than the owner',
      metadata: { model: 'm', lastchunk: { finishReason: 'stop', requestedId: 'taken' } },
    },
  ];
  const columns = 'id, stream_id, content, metadata';

  it('is left alone; the message is saved under its stream id and reported', async () => {
    await store.save([owner]);
    await store.save([guest]);
    expect(await rows(columns)).toEqual(kept);
    expect(conflicts).toEqual([{ requestedId: 'taken', messageId: 'guest' }]);
  });

  it('does not hold back the rest of the batch', async () => {
    await store.save([owner]);
    const other = aMessage({ id: 'other', startedAt: new Date('2028-01-01') });
    await store.save([other, guest]);
    expect(await rows('id')).toEqual([{ id: 'taken' }, { id: 'guest' }, { id: 'other' }]);
  });

  it('is the first stream’s when two ask for it in one batch', async () => {
    await store.save([owner, guest]);
    expect(await rows(columns)).toEqual(kept);
    expect(conflicts).toEqual([{ requestedId: 'taken', messageId: 'guest' }]);
  });

  it('keeps the older owner when the new one stands first in the batch', async () => {
    await store.save([owner]);
    await store.save([guest, { ...owner, text: 'mine, and more' }]);
    expect(await rows('id, stream_id, content')).toEqual([
      { id: 'taken', stream_id: 'owner', content: 'mine, and more' },
      { id: 'guest', stream_id: 'guest', content: 'longer than the owner' },
    ]);
  });

  it('is reported once; a retry and a higher revision find the row by its stream', async () => {
    await store.save([owner]);
    await store.save([guest]);
    await store.save([guest]);
    await store.save([{ ...guest, revision: 6, text: 'revised' }, aMessage()]);
    expect(await rows('id, content')).toContainEqual({ id: 'guest', content: 'revised' });
    expect(await rows('id')).toHaveLength(3);
    expect(conflicts).toHaveLength(1);
  });

  it('stays under the second id when the first becomes free', async () => {
    await store.save([owner]);
    await store.save([guest]);
    await look(database.url, "DELETE FROM lastchunk_messages WHERE id = 'taken'");
    await store.save([{ ...guest, text: `${guest.text}, and more` }]);
    expect(await rows('id, content')).toEqual([
      { id: 'guest', content: 'longer than the owner, and more' },
    ]);
  });

  it('can even be the stream id of the message that has to give way', async () => {
    await store.save([owner]);
    await store.save([aMessage({ id: 'guest', streamId: 'squatter', text: 'squatting' })]);
    await store.save([guest]);
    await store.save([guest]);
    const saved = await look(
      database.url,
      "SELECT id, content, metadata->'lastchunk'->>'requestedId' AS asked FROM lastchunk_messages WHERE stream_id = 'guest'",
    );
    expect(saved).toEqual([
      { id: expect.stringMatching(/^[\da-f-]{36}$/), content: guest.text, asked: 'taken' },
    ]);
    expect(conflicts).toHaveLength(1);
  });

  it('goes to one of many who ask at the same time, and all of them are kept', async () => {
    const others = Array.from({ length: 20 }, (_, index) =>
      aMessage({ id: 'taken', streamId: `stream ${index}`, text: `text ${index}` }),
    );
    await Promise.all(others.map((message) => store.save([message])));
    const saved = await rows('stream_id, content');
    expect(new Set(saved.map((row) => row['content']))).toEqual(
      new Set(others.map((message) => message.text)),
    );
    expect(saved).toHaveLength(20);
    expect(conflicts).toHaveLength(19);
  });
});

describe('the same stream under two ids', () => {
  it('is one row when both are in one batch', async () => {
    await store.save([
      aMessage({ id: 'a', streamId: 's', text: 'short' }),
      aMessage({ id: 'b', streamId: 's', text: 'longer' }),
    ]);
    expect(await rows('stream_id, content')).toEqual([{ stream_id: 's', content: 'longer' }]);
  });

  it('is one row when both are saved at the same time, again and again', async () => {
    for (let round = 0; round < 20; round++) {
      const streamId = `s ${round}`;
      await Promise.all([
        store.save([aMessage({ id: `a ${round}`, streamId, text: 'short' })]),
        store.save([aMessage({ id: `b ${round}`, streamId, text: 'longer' })]),
        store.save([aMessage({ id: streamId, streamId, text: 'the longest' })]),
      ]);
    }
    expect(await rows('content')).toEqual(Array(20).fill({ content: 'the longest' }));
    expect(conflicts).toEqual([]);
  });

  it('does not fail the batch it comes in', async () => {
    await store.save([aMessage({ id: 'asked', streamId: 's', text: 'short' })]);
    await store.save([
      aMessage({ id: 'x' }),
      aMessage({ id: 's', streamId: 's', text: 'longer' }),
      aMessage({ id: 'z' }),
    ]);
    expect(await rows('id, content')).toEqual([
      { id: 'asked', content: 'longer' },
      { id: 'x', content: 'Hello' },
      { id: 'z', content: 'Hello' },
    ]);
  });
});

describe('many batches at once', () => {
  it('with the same ids in different orders do not deadlock, from several stores', async () => {
    const stores = [store, ...[1, 2].map(() => postgres({ connectionString: database.url }))];
    const streams = Array.from({ length: 60 }, () => randomUUID());
    const batch = (revision: number) => {
      const turned = streams.toSorted(() => Math.random() - 0.5);
      return turned.map((id) => aMessage({ id, streamId: id, revision, text: `${revision}` }));
    };
    await store.save([]);
    await Promise.all(
      Array.from({ length: 30 }, async (_, turn) => stores[turn % 3]?.save(batch(turn))),
    );
    expect(await rows('content')).toEqual(Array(60).fill({ content: '29' }));
    await Promise.all(stores.slice(1).map((one) => one.close()));
  });
});

describe('a constraint of the app’s own', () => {
  it('is the error that the save rejects with, with its SQLSTATE', async () => {
    await store.save([]);
    await withClient(database.url, async (ask) => {
      await ask(
        'ALTER TABLE lastchunk_messages ADD CONSTRAINT one_answer UNIQUE (conversation_id)',
      );
      await ask('ALTER TABLE lastchunk_messages ADD CONSTRAINT short CHECK (length(content) < 9)');
    });
    await store.save([aMessage({ conversationId: 'c' })]);
    await expect(store.save([aMessage({ conversationId: 'c' })])).rejects.toMatchObject({
      code: '23505',
      constraint: 'one_answer',
    });
    const long = aMessage({ conversationId: 'd', text: 'too long for it' });
    await expect(store.save([long])).rejects.toMatchObject({ code: '23514' });
    await expect(store.save([long, aMessage()])).rejects.toMatchObject({ code: '23514' });
    expect(await rows('id')).toHaveLength(1);
  });
});
