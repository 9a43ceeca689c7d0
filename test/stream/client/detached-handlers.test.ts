/**
 * Eighteen ways of writing a handler, three policies, two ways of leaving: under `finish` nobody notices and the
 * whole answer is kept, under `keep` what was produced until then, under `discard` nothing; and no handler is
 * ever left waiting. Two more ways look at the raw socket; those see the real state.
 */
import express from 'express';
import { describe, expect, it } from 'vitest';
import { createInMemoryInstance, type InMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { createGate, createControllableUpstream } from '../../support/controllable-upstream.ts';
import { soon, turns, until } from '../../support/until.ts';
import { openClient, EXIT_MODES, type HttpClient } from '../../support/http-client.ts';
import { HANDLER_STYLES, type HandlerStyle } from '../../support/handler-styles.ts';

type Policy = 'finish' | 'keep' | 'discard';
type Leaving = (typeof EXIT_MODES)[number];

const MIB = 1024 * 1024;
const sheltered = HANDLER_STYLES.filter((style) => style.sheltered);
const exposed = HANDLER_STYLES.filter((style) => !style.sheltered);

describe.each(sheltered)('a handler that observes only request and response: $name', (style) => {
  it('gives a client that stays its whole answer', async () => {
    const { instance, upstream, httpClient, done } = await open(style, 'finish');
    upstream.push('one ', 'two ', 'three ');
    upstream.end();
    const reply = await httpClient.over();
    expect(await soon('the handler', done)).toBeUndefined();
    expect(reply.whole).toBe(true);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', side: 'server' });
    expect(instance.store.row).toMatchObject({
      text: 'one two three ',
      complete: true,
      revision: 0,
    });
  });

  it.each(EXIT_MODES)('continues to its end under finish after a %s', async (leaving) => {
    const { instance, noticed, before } = await leaveMidStream(style, 'finish', leaving);
    expect(noticed).toBeUndefined();
    const ended = await instance.recorded.ended();
    expect(ended).toMatchObject({ outcome: 'disconnected', side: 'client', save: 'saved' });
    expect(ended.chunksAfterDisconnect).toBeGreaterThan(0);
    expect(instance.store.row).toMatchObject({
      outcome: 'disconnected',
      complete: true,
      revision: 0,
    });
    expectText(instance.store.row.text, `${before}three four `);
    expect(instance.recorded.finishing).toEqual([true, false]);
    expectNothingOdd(instance);
  });

  it.each(EXIT_MODES)('has saved under keep what it wrote until a %s', async (leaving) => {
    const { instance, before } = await leaveMidStream(style, 'keep', leaving);
    const ended = await instance.recorded.ended();
    expect(ended).toMatchObject({ outcome: 'disconnected', side: 'client', save: 'saved' });
    expect(ended.chunksAfterDisconnect).toBe(0);
    expect(instance.store.row).toMatchObject({
      outcome: 'disconnected',
      complete: false,
      revision: 0,
    });
    expectText(instance.store.row.text, before);
    expectNothingOdd(instance);
  });

  it.each(EXIT_MODES)('has no row under discard after a %s', async (leaving) => {
    const { instance } = await leaveMidStream(style, 'discard', leaving);
    const ended = await instance.recorded.ended();
    expect(ended).toMatchObject({ outcome: 'disconnected', side: 'client', save: 'discarded' });
    expect(instance.recorded.skips).toEqual(['discarded']);
    expect(instance.recorded.dues).toBe(0);
    expect(instance.store.asked).toEqual([]);
    expectNothingOdd(instance);
  });
});

describe.each(exposed)('a handler that observes the connection itself: $name', (style) => {
  it.each(EXIT_MODES)('notices that the client left, after a %s', async (leaving) => {
    const { instance, noticed } = await leaveMidStream(style, 'finish', leaving);
    expect(noticed).toBeDefined();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(instance.store.row.text).toBe('one two ');
    expectNothingOdd(instance);
  });
});

/** An app with one guarded route that is written in this style, and a client who has asked for it. */
async function open(style: HandlerStyle, disconnected: Policy) {
  const instance = createInMemoryInstance();
  const upstream = createControllableUpstream();
  const done = createGate<Promise<string | undefined>>();
  const app = express();
  const guard = instance.keep.guard({
    route: '/answer',
    policy: { disconnected },
    maxBytes: 64 * MIB,
    finish: { maxBytes: 64 * MIB },
  });
  app.get('/answer', guard, (req, res) => {
    done.open(style.run(req, res, upstream));
  });
  const testServer = await serve(app);
  const httpClient = await openClient(testServer, '/answer');
  return { instance, upstream, testServer, httpClient, done: done.promise };
}

/** Lets the client see a beginning, leave, and the handler go on. */
async function leaveMidStream(style: HandlerStyle, policy: Policy, leaving: Leaving) {
  const { instance, upstream, testServer, httpClient, done } = await open(style, policy);
  const before = style.stalls ? 'x'.repeat(16 * MIB) : 'one two ';
  if (style.stalls) {
    httpClient.pause();
    upstream.push(before);
    await until('the socket is full', () => testServer.sockets[0]?.writableNeedDrain === true);
  } else {
    upstream.push('one ', 'two ');
    await httpClient.sees('two ');
  }
  leave(httpClient, leaving);
  await until('the server has met the close', () => testServer.closedSockets === 1);
  await turns();
  upstream.push('three ', 'four ');
  upstream.end();
  return { instance, before, noticed: await soon('the handler to come to its end', done) };
}

function leave(httpClient: HttpClient, leaving: Leaving): void {
  if (leaving === 'fin') httpClient.fin();
  else httpClient.rst();
}

/** Long texts are compared without being printed. */
function expectText(actual: string, expected: string): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.slice(-40)).toBe(expected.slice(-40));
  expect(actual === expected).toBe(true);
}

function expectNothingOdd({ recorded, store, logbook }: InMemoryInstance): void {
  expect(recorded.starts).toBe(1);
  expect(recorded.ends).toHaveLength(1);
  expect(recorded.internalErrors).toEqual([]);
  expect(store.rows.size).toBeLessThanOrEqual(1);
  expect(logbook.errors()).toEqual([]);
}
