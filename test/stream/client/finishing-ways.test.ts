/**
 * Eighteen ways of writing a handler, three policies, two ways of leaving: under `finish` nobody notices and the
 * whole answer is kept, under `keep` what was produced until then, under `discard` nothing; and no handler is
 * ever left waiting. Two more ways look at the raw socket; those are told the truth.
 */
import express from 'express';
import { describe, expect, it } from 'vitest';
import { createKept, type Kept } from '../../support/kept.ts';
import { serve } from '../../support/site.ts';
import { createGate, createTap } from '../../support/tap.ts';
import { soon, turns, until } from '../../support/until.ts';
import { visit, WAYS_TO_LEAVE, type Visitor } from '../../support/visitor.ts';
import { WAYS, type Way } from '../../support/ways.ts';

type Policy = 'finish' | 'keep' | 'discard';
type Leaving = (typeof WAYS_TO_LEAVE)[number];

const MIB = 1024 * 1024;
const sheltered = WAYS.filter((way) => way.sheltered);
const exposed = WAYS.filter((way) => !way.sheltered);

describe.each(sheltered)('a handler that is $name', (way) => {
  it('gives a client that stays its whole answer', async () => {
    const { kept, tap, visitor, done } = await open(way, 'finish');
    tap.push('one ', 'two ', 'three ');
    tap.end();
    const reply = await visitor.over();
    expect(await soon('the handler', done)).toBeUndefined();
    expect(reply.whole).toBe(true);
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', side: 'server' });
    expect(kept.store.row).toMatchObject({ text: 'one two three ', complete: true, revision: 0 });
  });

  it.each(WAYS_TO_LEAVE)('runs to its end under finish after a %s', async (leaving) => {
    const { kept, noticed, before } = await leaveMidStream(way, 'finish', leaving);
    expect(noticed).toBeUndefined();
    const ended = await kept.witness.ended();
    expect(ended).toMatchObject({ outcome: 'disconnected', side: 'client', save: 'saved' });
    expect(ended.chunksAfterDisconnect).toBeGreaterThan(0);
    expect(kept.store.row).toMatchObject({ outcome: 'disconnected', complete: true, revision: 0 });
    expectText(kept.store.row.text, `${before}three four `);
    expect(kept.witness.finishing).toEqual([true, false]);
    expectNothingOdd(kept);
  });

  it.each(WAYS_TO_LEAVE)('keeps under keep what it wrote until a %s', async (leaving) => {
    const { kept, before } = await leaveMidStream(way, 'keep', leaving);
    const ended = await kept.witness.ended();
    expect(ended).toMatchObject({ outcome: 'disconnected', side: 'client', save: 'saved' });
    expect(ended.chunksAfterDisconnect).toBe(0);
    expect(kept.store.row).toMatchObject({ outcome: 'disconnected', complete: false, revision: 0 });
    expectText(kept.store.row.text, before);
    expectNothingOdd(kept);
  });

  it.each(WAYS_TO_LEAVE)('leaves no row under discard after a %s', async (leaving) => {
    const { kept } = await leaveMidStream(way, 'discard', leaving);
    const ended = await kept.witness.ended();
    expect(ended).toMatchObject({ outcome: 'disconnected', side: 'client', save: 'discarded' });
    expect(kept.witness.skips).toEqual(['discarded']);
    expect(kept.witness.dues).toBe(0);
    expect(kept.store.asked).toEqual([]);
    expectNothingOdd(kept);
  });
});

describe.each(exposed)('a handler that is $name', (way) => {
  it.each(WAYS_TO_LEAVE)('sees through the world of finish after a %s', async (leaving) => {
    const { kept, noticed } = await leaveMidStream(way, 'finish', leaving);
    expect(noticed).toBeDefined();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(kept.store.row.text).toBe('one two ');
    expectNothingOdd(kept);
  });
});

/** An app with one guarded route that is written in this way, and a client who has asked for it. */
async function open(way: Way, disconnected: Policy) {
  const kept = createKept();
  const tap = createTap();
  const done = createGate<Promise<string | undefined>>();
  const app = express();
  const guard = kept.keep.guard({
    route: '/answer',
    policy: { disconnected },
    maxBytes: 64 * MIB,
    finish: { maxBytes: 64 * MIB },
  });
  app.get('/answer', guard, (req, res) => {
    done.open(way.run(req, res, tap));
  });
  const site = await serve(app);
  const visitor = await visit(site, '/answer');
  return { kept, tap, site, visitor, done: done.promise };
}

/** Lets the client see a beginning, leave, and the handler go on. */
async function leaveMidStream(way: Way, policy: Policy, leaving: Leaving) {
  const { kept, tap, site, visitor, done } = await open(way, policy);
  const before = way.stalls ? 'x'.repeat(16 * MIB) : 'one two ';
  if (way.stalls) {
    visitor.pause();
    tap.push(before);
    await until('the socket is full', () => site.sockets[0]?.writableNeedDrain === true);
  } else {
    tap.push('one ', 'two ');
    await visitor.sees('two ');
  }
  leave(visitor, leaving);
  await until('the server has met the close', () => site.closedSockets === 1);
  await turns();
  tap.push('three ', 'four ');
  tap.end();
  return { kept, before, noticed: await soon('the handler to come to its end', done) };
}

function leave(visitor: Visitor, leaving: Leaving): void {
  if (leaving === 'fin') visitor.fin();
  else visitor.rst();
}

/** Long texts are compared without being printed. */
function expectText(actual: string, expected: string): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.slice(-40)).toBe(expected.slice(-40));
  expect(actual === expected).toBe(true);
}

function expectNothingOdd({ witness, store, logbook }: Kept): void {
  expect(witness.starts).toBe(1);
  expect(witness.ends).toHaveLength(1);
  expect(witness.internalErrors).toEqual([]);
  expect(store.rows.size).toBeLessThanOrEqual(1);
  expect(logbook.errors()).toEqual([]);
}
