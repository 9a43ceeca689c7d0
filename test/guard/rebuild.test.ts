import { expect, test } from 'vitest';
import { rebuild } from '../../src/guard/rebuild.ts';
import { messageOf, openedStream, readText } from './fakes.ts';

const context = { read: readText, nowMs: 1_700_000_123_000 };

test('an ended stream is rebuilt as it ended, even when its text is empty', () => {
  const opened = openedStream();
  const { text: _text, events: _events, ...ending } = messageOf(opened, { metadata: { a: 1 } });
  expect(rebuild({ opened, ending }, [], context)).toEqual({ ...ending, text: '', events: null });
});

test('an unfinished stream is an interrupted partial with what the open record knows', () => {
  const opened = openedStream({ metadata: { user: 7 }, traceparent: `00-${'1'.repeat(32)}-x-00` });
  expect(rebuild({ opened, ending: undefined }, ['héllo', Buffer.from(' you')], context)).toEqual(
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

test('what was found in the body joins the metadata that the app gave', () => {
  const opened = openedStream({ metadata: { user: 7 } });
  const read: typeof readText = (stream, body) => ({
    ...readText(stream, body),
    metadata: { lastchunk: { finishReason: 'length' } },
  });
  const message = rebuild({ opened, ending: undefined }, ['x'], { ...context, read });
  expect(message?.metadata).toEqual({ user: 7, lastchunk: { finishReason: 'length' } });
});

test('an unfinished stream in which nothing was said leaves no message', () => {
  expect(rebuild({ opened: openedStream(), ending: undefined }, [], context)).toBeUndefined();
});

test('a stream that died after its end keeps that end, unless there was more of the answer', () => {
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
  expect(after()).toMatchObject({ text: 'ánswer', ...ending });
  expect(after('[DONE]')).toMatchObject({ text: 'ánswer', ...ending });
  expect(after('[DONE]', ' more')).toMatchObject({
    text: 'ánswer more',
    revision: ending.revision + 1,
    complete: false,
    outcome: 'interrupted',
    side: 'server',
  });
});
