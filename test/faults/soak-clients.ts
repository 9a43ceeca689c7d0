/** The clients of the soak, of every kind. Each has its own random numbers, so that one seed repeats the choices of each. */
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Random } from '../../demo/random.ts';
import type { App } from './app.ts';
import type { Bench } from './bench.ts';
import { converse, converseHttp2, conversePipelined } from './client.ts';
import { HANDLERS, type Conversation, type Drawing } from './conversation.ts';

/** A stream, and when its client began and ended; milliseconds of `performance.now()`. */
export interface Ran {
  readonly one: Conversation;
  readonly kind: ClientKind;
  readonly fromMs: number;
  toMs: number;
}

export type ClientKind = 'own' | 'keep-alive' | 'http2' | 'pipelined' | 'slow';

/** The kinds to draw from; some are listed several times to be drawn more often. */
const KINDS: readonly [ClientKind, ...ClientKind[]] = [
  'own',
  'own',
  'own',
  'keep-alive',
  'keep-alive',
  'http2',
  'http2',
  'pipelined',
  'slow',
];

/** How often a token of a slow client is repeated: more than the buffers of its connection can hold. */
const LARGE = 1_500;

/** The environment of a client. */
export interface ClientWorld {
  readonly bench: Bench;
  readonly apps: readonly [App, ...App[]];
  readonly isOver: () => boolean;
  /** Called for each stream when it begins. */
  readonly onRun: (ran: Ran) => void;
}

/** Requests one answer after the other, each of a randomly drawn kind, from a process that listens. */
export async function runClient(world: ClientWorld, seed: number): Promise<void> {
  const random = createRandom(seed);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (!world.isOver()) {
    const app = random.pick(world.apps);
    const { address, http2Address } = app;
    if (address === undefined || http2Address === undefined) await sleep(20);
    else await ask(world, random, { url: address, http2Url: http2Address, agent });
  }
  agent.destroy();
}

interface To {
  readonly url: string;
  readonly http2Url: string;
  readonly agent: Agent;
}

async function ask(world: ClientWorld, random: Random, to: To): Promise<void> {
  const kind = random.pick(KINDS);
  const drawn = world.bench.draw(
    kind === 'pipelined' ? random.int(2, 3) : 1,
    drawingOf(kind, random),
  );
  const ran = drawn.map((one) => ({ one, kind, fromMs: performance.now(), toMs: Infinity }));
  ran.forEach(world.onRun);
  await perform(kind, drawn, to);
  for (const each of ran) {
    each.toMs = performance.now();
    each.one.over();
  }
  // The app does not listen any more.
  const isRefused = drawn.every(({ status }) => status === undefined);
  await sleep(isRefused ? 50 : random.int(0, 100));
}

function drawingOf(kind: ClientKind, random: Random): Omit<Drawing, 'prefix'> {
  const shared = { random, mayBeInterrupted: true, gapMs: [1, 40] } as const;
  const handler = random.pick(HANDLERS);
  const atOnce = random.int(0, 3) === 0;
  switch (kind) {
    case 'own':
      return { ...shared, handler, atOnce, mayHalfClose: true };
    case 'keep-alive':
    case 'pipelined':
      return { ...shared, handler, atOnce, stays: true };
    case 'http2':
      return { ...shared, handler: 'plain', atOnce };
    case 'slow':
      return { ...shared, handler, isSlow: true, times: LARGE, gapMs: [1, 5] };
  }
}

function perform(kind: ClientKind, drawn: readonly Conversation[], to: To): Promise<unknown> {
  if (kind === 'pipelined') return conversePipelined(drawn, to.url);
  const send = (one: Conversation): Promise<void> =>
    kind === 'http2'
      ? converseHttp2(one, to.http2Url)
      : converse(one, to.url, kind === 'keep-alive' ? to.agent : false);
  return Promise.all(drawn.map(send));
}
