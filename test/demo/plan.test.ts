import { describe, expect, it } from 'vitest';
import { ROUTES } from '../../demo/agreed.ts';
import { FAULTS } from '../../demo/faults.ts';
import { drawPlan } from '../../demo/plan.ts';
import { createRandom } from '../../demo/random.ts';
import { answerText, tokensOf } from '../../demo/texts.ts';

const draw = (seed: number) => drawPlan(FAULTS, { streams: 110, seed, run: 'run' });

describe('a plan', () => {
  it('is the same for the same seed, and differs for another one', () => {
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });

  it('gives both routes the same answers and the same courses, under different ids', () => {
    const plan = draw(5);
    const [naive, guarded] = ROUTES.map((route) => plan.filter((one) => one.route === route));
    expect(naive?.map(({ script, course }) => ({ script, course }))).toEqual(
      guarded?.map(({ script, course }) => ({ script, course })),
    );
    expect(new Set(plan.map(({ id }) => id)).size).toBe(220);
    expect(new Set(plan.map(({ prompt }) => prompt)).size).toBe(220);
  });

  it('distributes the streams evenly over all faults', () => {
    const plan = draw(6);
    const counts = FAULTS.map((fault) => plan.filter((one) => one.fault === fault).length);
    expect(new Set(counts)).toEqual(new Set([20]));
  });

  it('makes clients leave, and models break, only after the client has seen a token', () => {
    for (const { course, script } of draw(7)) {
      const at = course.leave?.at;
      const places = [course.breaks?.afterTokens, typeof at === 'number' ? at : undefined];
      for (const place of places.filter((value) => value !== undefined)) {
        expect(place).toBeGreaterThan(0);
        expect(place).toBeLessThan(script.tokens.length);
      }
    }
  });
});

describe('the answers', () => {
  const texts = Array.from({ length: 50 }, (_, seed) => answerText(seed, createRandom(seed)));

  it('contain characters of several bytes, code units and code points', () => {
    const all = texts.join('\n');
    for (const sample of ['é', '東', '👨‍👩‍👧‍👦', 'م', 'e\u0301', '𝒻']) expect(all).toContain(sample);
  });

  it('are cut into tokens that join to the whole text and split no character', () => {
    for (const [seed, text] of texts.entries()) {
      const tokens = tokensOf(text, createRandom(seed));
      expect(tokens.join('')).toBe(text);
      expect(tokens.filter((token) => !token.isWellFormed())).toEqual([]);
    }
  });
});
