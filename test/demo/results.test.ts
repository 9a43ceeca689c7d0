import { describe, expect, it } from 'vitest';
import type { Fault, FaultName } from '../../demo/faults.ts';
import { drawPlan, type Conversation } from '../../demo/plan.ts';
import { failuresOf, resultsOf } from '../../demo/results.ts';

const fault = (name: FaultName): Fault => ({ name, title: `of ${name}`, course: () => ({}) });
const FAULTS = [fault('none'), fault('disconnect')];

/** Four pairs, two of each fault, all seen and kept; then `change` does what the test is about. */
function conversations(change: (one: Conversation, at: number) => void = () => {}): Conversation[] {
  const plan = drawPlan(FAULTS, { streams: 4, seed: 1, run: 'test' });
  for (const [at, one] of plan.entries()) {
    Object.assign(one, { seen: 'seen', kept: true, rows: 1 });
    change(one, at);
  }
  return plan;
}

describe('the figures of a run', () => {
  it('count streams for each route, and all streams in the last row', () => {
    const plan = conversations();
    const [none, disconnect, all] = resultsOf(FAULTS, plan);
    const tally = { seen: 2, kept: 2, lossPercent: 0 };
    expect(none).toEqual({
      fault: 'none',
      title: 'of none',
      streams: 2,
      routes: { naive: tally, guarded: tally },
    });
    expect(disconnect?.streams).toBe(2);
    expect(all).toMatchObject({ fault: 'all', streams: 4, routes: { naive: { seen: 4 } } });
  });

  it('count what was seen and not kept as lost, also if it was never judged', () => {
    const plan = conversations((one, at) => {
      if (one.route === 'naive') one.kept = at < 2 ? undefined : at < 4 ? false : true;
    });
    const all = resultsOf(FAULTS, plan).at(-1);
    expect(all?.routes).toEqual({
      naive: { seen: 4, kept: 2, lossPercent: 50 },
      guarded: { seen: 4, kept: 4, lossPercent: 0 },
    });
  });

  it('do not count a client that saw nothing', () => {
    const plan = conversations((one) => {
      if (one.route === 'naive') Object.assign(one, { seen: '', kept: undefined });
    });
    expect(resultsOf(FAULTS, plan).at(-1)?.routes.naive).toEqual({
      seen: 0,
      kept: 0,
      lossPercent: null,
    });
  });
});

describe('the verdict', () => {
  const verdict = (change?: (one: Conversation, at: number) => void): readonly string[] => {
    const plan = conversations(change);
    return failuresOf(resultsOf(FAULTS, plan), plan);
  };

  it('is good if the guarded route lost nothing, whatever the naive route lost', () => {
    expect(verdict((one) => (one.kept = one.route === 'guarded'))).toEqual([]);
  });

  it('names each fault in which the guarded route lost something', () => {
    const first = verdict((one, at) => (one.kept = at !== 1));
    expect(first).toEqual(['"of none": the guarded route lost 1 of 2']);
  });

  it('is bad if no client of the guarded route saw anything, although that loses nothing', () => {
    const blind = verdict((one) => {
      if (one.route === 'guarded' && one.fault.name === 'none') one.seen = '';
    });
    expect(blind).toEqual(['"of none": no client of the guarded route saw anything']);
  });

  it('is bad if an answer was stored twice', () => {
    const twice = verdict((one) => {
      if (one.route === 'guarded') one.rows = 2;
    });
    expect(twice).toEqual(['4 answers of the guarded route stored twice']);
  });
});
