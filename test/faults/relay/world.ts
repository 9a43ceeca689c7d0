/** What the faults of a relay share: a fleet on one engine, and streams that reach it in every way to write. */
import type { Bench } from '../bench.ts';
import type { Conversation, Drawing, HandlerKind } from '../conversation.ts';
import { Fleet, type FleetOptions } from './fleet.ts';

/** What happens to a fleet, and how many streams run meanwhile. */
export interface World {
  readonly bench: Bench;
  readonly fleet: Fleet;
  readonly streams: number;
}

/** Slower than an exchange: the engine gets most of a stream while it is live. */
export const SLOW: Omit<Drawing, 'prefix'> = { gapMs: [30, 70], isTaped: true };

/** Each reaches the relay in its own way: `encoded` writes gzip, and one is served over HTTP/2. */
const WAYS: readonly { readonly handler: HandlerKind; readonly isHttp2?: true }[] = [
  { handler: 'express' },
  { handler: 'plain' },
  { handler: 'compressed' },
  { handler: 'encoded' },
  { handler: 'plain', isHttp2: true },
];

/** A share of each way to write. */
export function drawMixed(
  bench: Bench,
  count: number,
  drawing: Omit<Drawing, 'prefix'>,
): Conversation[] {
  const share = Math.ceil(count / WAYS.length);
  const drawn = WAYS.flatMap((way) => bench.draw(share, { ...SLOW, ...drawing, ...way }));
  return bench.random.shuffle(drawn);
}

/** Runs `act` with a fleet, which ends afterwards. */
export async function withFleet(
  bench: Bench,
  options: FleetOptions,
  act: (fleet: Fleet) => Promise<void>,
): Promise<void> {
  const fleet = await Fleet.open(bench, options);
  try {
    await act(fleet);
    await fleet.end();
  } finally {
    await fleet.remove();
  }
}

/** Tokens that have arrived at clients. */
export function arrived(conversations: readonly Conversation[]): number {
  return conversations.reduce((sum, { tokens }) => sum + tokens, 0);
}
