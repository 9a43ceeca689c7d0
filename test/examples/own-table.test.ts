/** The examples of own tables: each keeps what a client saw, whatever happens, and never a worse version of it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { refusalOf } from '../../src/core/refusal.ts';
import { lastchunk, type Message, type MessageStore } from '../../src/index.ts';
import { startScript } from '../support/child-process.ts';
import { useDatabase } from '../support/database.ts';
import { chatChunk } from '../support/frames.ts';
import { ROOT } from '../support/imports.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { aMessage, look } from '../postgres/messages.ts';
import { readUntil, WHOLE } from './read-until.ts';
import { openExample, STORES } from './stores.ts';

const database = useDatabase();
beforeEach(async () => {
  await look(database.url, await readFile(join(ROOT, 'examples/schema.sql'), 'utf8'));
  await look(database.url, "INSERT INTO conversations (id) VALUES ('c1')");
});

const rows = () =>
  look(database.url, 'SELECT id, content, complete, outcome FROM messages ORDER BY created_at, id');

describe.each(Object.keys(STORES))('the example %s', (name) => {
  async function open(): Promise<MessageStore> {
    const store = await openExample(name, database.url);
    onTestFinished(() => store.close());
    return store;
  }
  const aRow = (facts: Partial<Message>): Message =>
    aMessage({ id: 'a', streamId: 's', conversationId: 'c1', ...facts });

  it('saves a message once, however often it is sent, and never overwrites it with a worse version', async () => {
    const store = await open();
    await store.save([aRow({ text: 'par', complete: false, outcome: 'interrupted' })]);
    await store.save([aRow({ text: 'part, longer', complete: false, outcome: 'interrupted' })]);
    await store.save([aRow({ text: 'whole' })]);
    await store.save([aRow({ text: 'whole' })]);
    await store.save([aRow({ text: 'part, even longer', complete: false })]);
    await store.save([aRow({ text: 'of another stream', streamId: 'other', revision: 9 })]);
    expect(await rows()).toEqual([
      { id: 'a', content: 'whole', complete: true, outcome: 'completed' },
    ]);
  });

  it('writes nothing for a conversation that was deleted meanwhile, and does not reject', async () => {
    const store = await open();
    await look(database.url, "DELETE FROM conversations WHERE id = 'c1'");
    const kept = aRow({ id: 'b', streamId: 't', conversationId: 'c2' });
    await look(database.url, "INSERT INTO conversations (id) VALUES ('c2')");
    await store.save([aRow({}), kept]);
    expect((await rows()).map(({ id }) => id)).toEqual(['b']);
  });

  it('rejects so that a message that can never be stored is set aside', async () => {
    const store = await open();
    await look(database.url, "ALTER TABLE messages ADD CHECK (content <> 'forbidden')");
    const error: unknown = await store.save([aRow({ text: 'forbidden' })]).catch((e: unknown) => e);
    expect(refusalOf(error)).toBe('23514');
    await database.server.stop();
    const away: unknown = await store.save([aRow({})]).catch((e: unknown) => e);
    expect(away).toBeInstanceOf(Error);
    expect(refusalOf(away)).toBeUndefined();
  });

  it('accepts a refused message that is sent again after its constraint was repaired', async () => {
    const journal = await mkdtemp(join(tmpdir(), 'lastchunk-example-'));
    const store = await openExample(name, database.url);
    const keep = lastchunk({ store, journal, logger: false });
    onTestFinished(async () => {
      await keep.close({ deadlineMs: 2_000 });
      await rm(journal, { recursive: true, force: true });
    });
    await look(
      database.url,
      "ALTER TABLE messages ADD CONSTRAINT no CHECK (content <> 'forbidden')",
    );
    const app = express();
    const guard = keep.guard({ message: () => ({ id: 'a', conversationId: 'c1' }) });
    app.get('/chat', guard, (_, res) => {
      res.type('text/event-stream').write(chatChunk({ content: 'forbidden' }));
      res.end('data: [DONE]\n\n');
    });
    const { url } = await serve(app);
    await (await fetch(`${url}/chat`)).text();
    await keep.flush();
    const replay = () => keep.replay({ refused: true });
    expect(await until('it stands aside', async () => (await replay()).refused)).toBe(1);
    expect(await rows()).toEqual([]);
    await look(database.url, 'ALTER TABLE messages DROP CONSTRAINT no');
    expect(await replay()).toEqual({ saved: 1, refused: 0, left: 0 });
    expect(await rows()).toMatchObject([{ id: 'a', content: 'forbidden', complete: true }]);
    expect(await replay()).toEqual({ saved: 0, refused: 0, left: 0 });
  });

  it('replaces a character that PostgreSQL cannot hold, and stores the message', async () => {
    await (await open()).save([aRow({ text: 'one\0two' })]);
    expect(await rows()).toMatchObject([{ content: 'one\uFFFDtwo' }]);
  });

  it('loses nothing by a client that leaves, an unavailable database, and SIGKILL', async () => {
    const journal = await mkdtemp(join(tmpdir(), 'lastchunk-example-'));
    onTestFinished(() => rm(journal, { recursive: true, force: true }));
    await look(database.url, "INSERT INTO conversations (id) VALUES ('left'), ('away'), ('long')");
    const script = join(ROOT, 'test/examples/app-main.ts');
    const start = () => startScript(script, [name, database.url, journal]);
    const contentOf = async (conversation: string): Promise<string | undefined> => {
      const found = await look(
        database.url,
        `SELECT content FROM messages WHERE conversation_id = '${conversation}'`,
      );
      return found[0] === undefined ? undefined : String(found[0]['content']);
    };
    const first = await start();

    await readUntil(`${first.url}/chat/left`, (text) => text !== '');
    expect(await until('the answer is whole', () => contentOf('left'))).toBe(WHOLE);

    await database.server.stop();
    expect(await readUntil(`${first.url}/chat/away`, () => false)).toBe(WHOLE);
    const seen = await readUntil(
      `${first.url}/chat/long`,
      (text) => text.includes('9 '),
      () => first.kill(),
    );
    await database.server.start();
    await start();
    expect(await until('the answer is replayed', () => contentOf('away'))).toBe(WHOLE);
    const kept = await until('the answer is recovered', () => contentOf('long'));
    expect(kept.startsWith(seen)).toBe(true);
  });
});
