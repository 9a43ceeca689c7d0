import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { rebuild } from '../../src/saver/rebuild.ts';
import type { OpenedStream } from '../../src/core/save-port.ts';
import { readBody } from '../../src/stream/body/content.ts';
import { chatChunk } from '../support/frames.ts';
import { messageOf, openedStream, readText } from './fakes.ts';
import { emptyDirectory, open, recoverAll, speaker } from '../journal/support.ts';

const context = { read: readText, nowMs: 1_700_000_123_000 };

test('an ended stream is rebuilt with its ending, even if its text is empty', async () => {
  const opened = openedStream();
  const { text: _text, events: _events, ...ending } = messageOf(opened, { metadata: { a: 1 } });
  expect(await rebuild({ opened, ending }, [], context)).toEqual({
    ...ending,
    text: '',
    events: null,
  });
});

test('an unfinished stream is an interrupted partial message with the fields of its open record', async () => {
  const opened = openedStream({ metadata: { user: 7 }, traceparent: `00-${'1'.repeat(32)}-x-00` });
  expect(
    await rebuild({ opened, ending: undefined }, ['héllo', Buffer.from(' you')], context),
  ).toEqual(
    messageOf(opened, {
      text: 'héllo you',
      metadata: { user: 7 },
      complete: false,
      outcome: 'interrupted',
      chunks: 2,
      bytes: 10,
      traceId: '1'.repeat(32),
      endedAt: new Date(context.nowMs),
    }),
  );
});

test('an unfinished stream does not end before it began, even if the wall clock was set back', async () => {
  const opened = openedStream();
  const nowMs = opened.startedAtMs - 3_600_000;
  const message = await rebuild({ opened, ending: undefined }, ['x'], { ...context, nowMs });
  expect(message?.endedAt).toEqual(message?.startedAt);
});

test('metadata found in the body is merged into the metadata of the app', async () => {
  const opened = openedStream({ metadata: { user: 7 } });
  const read: typeof readText = async (stream, body) => ({
    ...(await readText(stream, body)),
    metadata: { lastchunk: { finishReason: 'length' } },
  });
  const message = await rebuild({ opened, ending: undefined }, ['x'], { ...context, read });
  expect(message?.metadata).toEqual({ user: 7, lastchunk: { finishReason: 'length' } });
});

test('an unfinished stream with an empty body leaves no message', async () => {
  expect(await rebuild({ opened: openedStream(), ending: undefined }, [], context)).toBeUndefined();
});

test('a stream whose process died after its end keeps that end, unless more of the answer follows', async () => {
  const opened = openedStream();
  const { text: _text, events: _events, ...ending } = messageOf(opened, { complete: true });
  const entry = { opened, ending, endsAt: Buffer.byteLength('ánswer') };
  // The format of this reader: a piece in brackets carries nothing.
  const read: typeof readText = (stream, body) =>
    readText(
      stream,
      body.filter((piece) => !String(piece).startsWith('[')),
    );
  const after = (...more: string[]) =>
    rebuild(entry, ['án', 'swer', ...more], { ...context, read });
  expect(await after()).toMatchObject({ text: 'ánswer', ...ending });
  expect(await after('[DONE]')).toMatchObject({ text: 'ánswer', ...ending });
  expect(await after('[DONE]', ' more')).toMatchObject({
    text: 'ánswer more',
    revision: ending.revision + 1,
    complete: false,
    outcome: 'interrupted',
    side: 'server',
  });
});

/** A process that died after this was said; `'end'` stands where its answer ended. Whoever finds it rebuilds it. */
async function rebuilt(said: readonly (string | Uint8Array)[], over: Partial<OpenedStream> = {}) {
  const path = emptyDirectory();
  const before = open(path);
  const one = speaker(before.journal, 1, over);
  for (const piece of said) {
    if (piece === 'end') one.end();
    else one.say(piece, true);
  }
  await before.journal.close();
  const [back] = await recoverAll(open(path).journal, false);
  if (back === undefined) throw new Error('nothing was found');
  const body = await back.entry.body();
  return await rebuild(back.entry, body, { read: readBody, nowMs: context.nowMs });
}

const done = 'data: [DONE]\n\n';
const answer = [
  chatChunk({ content: 'ánswer ' }),
  chatChunk({ content: '🍵' }),
  chatChunk({}, 'stop'),
];

test('a process that died after the end and before the save leaves a completed answer on disk', async () => {
  expect(await rebuilt([...answer, 'end', done])).toMatchObject({
    text: 'ánswer 🍵',
    outcome: 'completed',
    complete: true,
    revision: 0,
  });
});

test('an answer that continued after its end is recovered as interrupted, with the next revision', async () => {
  expect(await rebuilt([...answer, 'end', done, chatChunk({ content: ' more' })])).toMatchObject({
    text: 'ánswer 🍵 more',
    outcome: 'interrupted',
    complete: false,
    revision: 1,
  });
});

test('the end is found between two bytes of an answer that the handler encoded', async () => {
  const bytes = gzipSync(answer.join(''));
  const encoded = { contentEncoding: 'gzip' };
  expect(await rebuilt([bytes, 'end', gzipSync(done)], encoded)).toMatchObject({
    text: 'ánswer 🍵',
    outcome: 'completed',
    revision: 0,
  });
});

test('an encoded body is decoded up to the `maxBytes` of its guard, as in a live stream', async () => {
  const path = emptyDirectory();
  const dead = open(path);
  const bomb = gzipSync('x'.repeat(4_000_000));
  const more = { contentType: 'text/plain', contentEncoding: 'gzip', maxBytes: 100_000 };
  speaker(dead.journal, 'bomb', more).say(bomb);
  await dead.journal.close();
  const [back] = await recoverAll(open(path).journal, false);
  if (back === undefined) throw new Error('it was left there');
  expect(back.entry.opened.maxBytes).toBe(100_000);
  const read = { read: readBody, nowMs: context.nowMs };
  const message = await rebuild(back.entry, await back.entry.body(), read);
  expect(message?.text).toBe('x'.repeat(100_000));
  expect(message).toMatchObject({ complete: false, outcome: 'interrupted' });
  expect(message?.droppedBytes).toBeGreaterThan(0);
});

test('an unfinished stream with missing records leaves a message of the other records', async () => {
  const entry = { opened: openedStream(), ending: undefined, hasHole: true };
  expect(await rebuild(entry, [], context)).toMatchObject({ text: '', complete: false });
});

test('an unfinished stream whose body was dropped completely leaves a message', async () => {
  const read: typeof readText = async (stream, body) => ({
    ...(await readText(stream, body)),
    droppedBytes: 7,
  });
  const entry = { opened: openedStream(), ending: undefined };
  expect(await rebuild(entry, [], { ...context, read })).toMatchObject({
    text: '',
    complete: false,
    droppedBytes: 7,
  });
});
