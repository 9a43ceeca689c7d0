/** Visitors of the chat, a few every second, for ever: most read to the end, some leave, some meet a model that breaks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { visit, type LeaveAt, type Visit } from '../../demo/client.ts';
import { createRandom, type Random } from '../../demo/random.ts';
import { answerText, tokensOf } from '../../demo/texts.ts';
import type { Upstream } from '../../demo/upstream.ts';

/** Different answers; the model keeps all of them. */
const PROMPTS = 60;
/** One of so many answers breaks off in the middle. */
const BREAKS = 20;

/** Tells the model what to say, at which pace, and when to break off: one of `oneOf` answers, by default of 20. */
export function teach(upstream: Upstream, { oneOf = BREAKS } = {}): void {
  const random = createRandom(Date.now());
  for (let number = 0; number < PROMPTS; number += 1) {
    upstream.plan(promptOf(number), {
      tokens: tokensOf(answerText(number, random), random),
      gapMs: random.int(8, 60),
      ...(number % oneOf === 0 && {
        breaks: { how: random.pick(['reset', 'stall']), afterTokens: random.int(2, 15) },
      }),
    });
  }
}

/** Sends `perSecond` visitors to the app until the returned function is called. */
export function startVisitors(url: string, perSecond: number): () => void {
  const random = createRandom(Date.now());
  const end = new AbortController();
  const come = async (): Promise<void> => {
    for (let number = 1; ; number += 1) {
      void visit(visitOf(url, random, number));
      // Uneven, as people are.
      await sleep((random.int(10, 190) / 100) * (1_000 / perSecond), undefined, {
        signal: end.signal,
      });
    }
  };
  come().catch(() => {
    // The wait was aborted: nobody is to come any more.
  });
  return () => end.abort();
}

function visitOf(url: string, random: Random, number: number): Visit {
  const route = random.int(1, 10) === 1 ? 'naive' : 'guarded';
  const prompt = promptOf(random.int(0, PROMPTS - 1));
  const leaves = random.int(1, 6) === 1;
  return {
    url: new URL(`/${route}/visit-${Date.now()}-${number}`, url),
    prompt,
    patienceMs: 5_000,
    ...(leaves && {
      leave: {
        at: random.pick<LeaveAt>([random.int(3, 40), 'finish-reason', 'done']),
        by: random.pick(['fin', 'rst']),
      },
    }),
  };
}

function promptOf(number: number): string {
  return `Tell me story ${number}.`;
}
