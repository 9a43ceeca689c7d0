/** Generated bodies, a few of them, the same in every run; `npx tsx test/formats/fuzz/main.ts` reads many, and prints its seed. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { deliveredProperty, property } from './properties.ts';

it('reads every body the same wherever it is cut, live and recovered, and loses no leaf', async () => {
  const { failed, counterexample, errorInstance } = await fc.check(property, {
    seed: 1,
    numRuns: 1_000,
  });
  expect(failed, `${String(errorInstance)}\n${JSON.stringify(counterexample)}`).toBe(false);
});

it('decodes bytes of any charset and coding under any label, or keeps them as they are', async () => {
  const { failed, counterexample, errorInstance } = await fc.check(deliveredProperty, {
    seed: 1,
    numRuns: 200,
  });
  expect(failed, `${String(errorInstance)}\n${JSON.stringify(counterexample)}`).toBe(false);
});
