import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Message } from '../../src/core/message.ts';
import { refusalOf } from '../../src/core/refusal.ts';
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

  it('stores every field of a message that is saved alone', async () => {
    await store.save([full]);
    expect(await rows()).toEqual([expected]);
  });

  it('stores every field of messages that are saved together', async () => {
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

  it('of an empty batch does nothing', async () => {
    await store.save([]);
    expect(await rows()).toEqual([]);
  });

  it('sets saved_at when the row changes', async () => {
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
      name: 'length counts code points, not surrogate halves',
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

    it(`${name}, in a batch over an existing row`, async () => {
      await store.save([first]);
      await store.save([second, aMessage({ startedAt: new Date('2027-01-01') })]);
      expect(await rows('content')).toEqual([{ content: winner.text }, { content: 'Hello' }]);
    });

    it(`${name}, both in one batch`, async () => {
      await store.save([first, second]);
      expect(await rows('content')).toEqual([{ content: winner.text }]);
    });

    it(`${name}, if the stream is stored under another id`, async () => {
      await store.save([{ ...first, id: 'other' }]);
      await store.save([second]);
      expect(await rows('id, content')).toEqual([{ id: 'other', content: winner.text }]);
      expect(conflicts).toEqual([]);
    });
  }

  it('a retry after a lost answer finds its own row', async () => {
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

  it('stays with its owner; the message is saved under its stream id, and the conflict is reported', async () => {
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

  it('goes to the first of two streams in one batch', async () => {
    await store.save([owner, guest]);
    expect(await rows(columns)).toEqual(kept);
    expect(conflicts).toEqual([{ requestedId: 'taken', messageId: 'guest' }]);
  });

  it('stays with its owner if the other stream comes first in the batch', async () => {
    await store.save([owner]);
    await store.save([guest, { ...owner, text: 'mine, and more' }]);
    expect(await rows('id, stream_id, content')).toEqual([
      { id: 'taken', stream_id: 'owner', content: 'mine, and more' },
      { id: 'guest', stream_id: 'guest', content: 'longer than the owner' },
    ]);
  });

  it('is reported once; a retry and a higher revision find the row by its stream id', async () => {
    await store.save([owner]);
    await store.save([guest]);
    await store.save([guest]);
    await store.save([{ ...guest, revision: 6, text: 'revised' }, aMessage()]);
    expect(await rows('id, content')).toContainEqual({ id: 'guest', content: 'revised' });
    expect(await rows('id')).toHaveLength(3);
    expect(conflicts).toHaveLength(1);
  });

  it('does not change the second id of a row when the first becomes free', async () => {
    await store.save([owner]);
    await store.save([guest]);
    await look(database.url, "DELETE FROM lastchunk_messages WHERE id = 'taken'");
    await store.save([{ ...guest, text: `${guest.text}, and more` }]);
    expect(await rows('id, content')).toEqual([
      { id: 'guest', content: 'longer than the owner, and more' },
    ]);
  });

  it('can also be the stream id of the second message, which then gets a UUID', async () => {
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

  it('goes to one of many streams that are saved at the same time, and all are stored', async () => {
    const others = Array.from({ length: 20 }, (_, index) =>
      aMessage({ id: 'taken', streamId: `stream ${index}`, text: `text ${index};` }),
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
  it('is one row if both are in one batch', async () => {
    await store.save([
      aMessage({ id: 'a', streamId: 's', text: 'short' }),
      aMessage({ id: 'b', streamId: 's', text: 'longer' }),
    ]);
    expect(await rows('stream_id, content')).toEqual([{ stream_id: 's', content: 'longer' }]);
  });

  it('is one row if both are saved at the same time, repeatedly', async () => {
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

  it('does not fail its batch', async () => {
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
  it('makes the save reject with its SQLSTATE', async () => {
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

describe('a row that a trigger suppresses', () => {
  /** What a trigger does to rows of the table: `NULL` swallows a row without an error. */
  const trigger = async (when: string, body: string): Promise<void> => {
    await store.save([]);
    await look(
      database.url,
      `CREATE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$;
       CREATE TRIGGER answer ${when} ON lastchunk_messages FOR EACH ROW EXECUTE FUNCTION answer()`,
    );
  };
  const swallow = "IF NEW.content = 'secret' THEN RETURN NULL; END IF; RETURN NEW;";

  it('rejects on insert, and names the cause', async () => {
    await trigger('BEFORE INSERT', swallow);
    const save = store.save([aMessage({ text: 'secret' })]);
    await expect(save).rejects.toThrow(/took no row .*trigger or a rule/);
    await expect(save).rejects.toMatchObject({ code: 'not-written' });
    expect(refusalOf(await save.catch((error: unknown) => error))).toBe('not-written');
    expect(await rows('id')).toEqual([]);
  });

  it('rejects its batch, and the others can be saved afterwards', async () => {
    await trigger('BEFORE INSERT', swallow);
    const others = [aMessage(), aMessage()];
    const swallowed = aMessage({ text: 'secret' });
    await expect(store.save([...others, swallowed])).rejects.toMatchObject({ code: 'not-written' });
    await store.save(others);
    expect(await rows('content')).toEqual([{ content: 'Hello' }, { content: 'Hello' }]);
  });

  it('rejects on the update to a better version', async () => {
    const message = aMessage({ text: 'the beginning' });
    await store.save([message]);
    await trigger('BEFORE UPDATE', 'RETURN NULL;');
    const better = { ...message, revision: 1, text: 'the beginning and the end' };
    await expect(store.save([better])).rejects.toMatchObject({ code: 'not-written' });
    await expect(store.save([aMessage(), better])).rejects.toMatchObject({ code: 'not-written' });
    await expect(store.save([{ ...better, id: 'other' }])).rejects.toMatchObject({
      code: 'not-written',
    });
    // The retry of what is there is no update.
    await store.save([message]);
    expect(await rows('content')).toContainEqual({ content: 'the beginning' });
    expect(conflicts).toEqual([]);
  });

  it('is accepted if the trigger writes it into a partition', async () => {
    await store.save([]);
    await look(
      database.url,
      'CREATE TABLE part (LIKE lastchunk_messages INCLUDING ALL) INHERITS (lastchunk_messages)',
    );
    await trigger('BEFORE INSERT', 'INSERT INTO part VALUES (NEW.*); RETURN NULL;');
    await store.save([aMessage()]);
    await store.save([aMessage(), aMessage()]);
    expect(await rows('id')).toHaveLength(3);
  });
});

describe('two streams of one answer', () => {
  const asked = { id: 'answer', conversationId: 'c', role: 'assistant' };
  const partial = aMessage({ ...asked, streamId: 'post', text: 'Hel', complete: false });
  const whole = aMessage({ ...asked, streamId: 'get', text: 'Hello, world' });

  it.each([
    ['the longer one comes last', [partial, whole]],
    ['the longer one comes first', [whole, partial]],
  ])('are one row if %s', async (_name, [first, second]) => {
    await store.save([first ?? partial]);
    await store.save([second ?? partial]);
    await store.save([first ?? partial, aMessage({ id: 'x' })]);
    const saved = await rows('id, stream_id, content, complete');
    expect(saved.filter(({ id }) => id !== 'x')).toEqual([
      { id: 'answer', stream_id: 'get', content: 'Hello, world', complete: true },
    ]);
    expect(saved).toHaveLength(2);
    expect(conflicts).toEqual([]);
  });

  it('are one row if both are in one batch', async () => {
    await store.save([partial, whole]);
    expect(await rows('stream_id, content')).toEqual([
      { stream_id: 'get', content: 'Hello, world' },
    ]);
    expect(conflicts).toEqual([]);
  });

  it('are one row if they come in batches with others', async () => {
    await store.save([partial, aMessage({ id: 'x' })]);
    await store.save([whole, aMessage({ id: 'y' })]);
    await store.save([partial, aMessage({ id: 'z' })]);
    expect(await rows('id')).toHaveLength(4);
    expect(conflicts).toEqual([]);
  });

  it.each<[string, Partial<Message>]>([
    ['another conversation', { conversationId: 'd' }],
    ['no conversation', { conversationId: null }],
    ['another role', { role: 'tool' }],
    ['no text', { text: '' }],
    ['events of its own', { text: 'Hello', events: [{ tool: 'call' }] }],
    ['a text that is no continuation', { text: 'Help' }],
    ['a longer text of lower rank', { text: 'Hello, world, and more', complete: false }],
  ])('are two rows with %s', async (_name, difference) => {
    const other = { ...whole, streamId: 'other', ...difference };
    await store.save([whole]);
    await store.save([other]);
    await store.save([whole, other]);
    expect((await rows('content')).map(({ content }) => String(content)).toSorted()).toEqual(
      [whole.text, other.text].toSorted(),
    );
    expect(conflicts).toEqual([{ requestedId: 'answer', messageId: 'other' }]);
  });

  it('are two rows after a revision of the first one that contradicts the second', async () => {
    await store.save([partial]);
    await store.save([whole]);
    const revised = { ...partial, revision: 1, text: 'Hell' };
    await store.save([revised]);
    expect((await rows('content')).map(({ content }) => String(content)).toSorted()).toEqual([
      'Hell',
      'Hello, world',
    ]);
  });

  it('are one row, the longest, if several stores save them at the same time', async () => {
    const stores = [store, ...[1, 2].map(() => postgres({ connectionString: database.url }))];
    await store.save([]);
    const text = 'Hello, world, and all that is in it';
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        [3, 9, 20, text.length].map(async (length, index) => {
          const complete = length === text.length;
          const streamId = `${round} ${index}`;
          const message = { ...whole, id: `${round}`, streamId, text: text.slice(0, length) };
          await stores[index % 3]?.save([{ ...message, complete }]);
        }),
      );
    }
    expect(await rows('content')).toEqual(Array(20).fill({ content: text }));
    expect(conflicts).toEqual([]);
    await Promise.all(stores.slice(1).map((one) => one.close()));
  });
});
