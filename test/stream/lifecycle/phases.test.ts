/** What every event does in every phase of a stream: the whole table, and what holds for all of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PHASES, type PhaseName, type StreamEvent } from '../../../src/stream/lifecycle/phases.ts';
import { type Effect, transition } from '../../../src/stream/lifecycle/transition-table.ts';

/** In the order of the columns below. */
const EVENTS: readonly StreamEvent[] = [
  'began',
  'no-stream',
  'ended',
  'released',
  'failed',
  'destroyed',
  'stopped',
  'marker',
  'grace-over',
  'patience-over',
  'interrupted',
  'close-due',
  'finished',
  'cut',
  'client-left',
  'client-left-detached',
  'client-left-settled',
];

/**
 * By phase, in the order of `EVENTS`: the phase after the event, `=` where it stays and something is done; `.` where the event
 * is ignored, `!` where it is impossible.
 */
const TABLE: Readonly<Record<PhaseName, string>> = {
  undecided: 'open other . . . ! = ! . . . ! ! over undecided-gone undecided-detached !',
  'undecided-detached':
    'detached other-detached over-gone . undecided-gone ! = ! . undecided-gone . ! ! ! ! ! !',
  'undecided-gone': 'over-gone other-gone over-gone . . ! . ! . . . ! ! ! ! ! !',
  open: '! . ending . = over grace ! closing . closing ! ! over over-gone detached detached-settled',
  ending: '! . . ended = ! . ! . . . ! over over over-gone over-gone over-gone',
  ended: '! . . . . ! . ! . . . ! over over over-gone over-gone over-gone',
  grace: '! . ending . closing closing . open closing . closing ! ! over-gone grace-gone ! !',
  'grace-gone': '! . over-gone . over-gone over-gone . ! over-gone . over-gone ! ! ! ! ! !',
  detached: '! . over-gone . over-gone ! = ! . over-gone over-gone ! ! ! ! ! !',
  'detached-settled': '! . over-gone . over-gone ! = ! . over-gone over-gone ! ! ! ! ! !',
  closing: '! . . . . ! . ! . . . closed over over over-gone ! !',
  closed: '! . = . . ! . ! . . . ! over-gone ! ! ! !',
  over: '. . . . . ! . ! . . . over-gone ! ! ! ! !',
  'over-gone': '. . = . . ! . ! . . . = ! ! ! ! !',
  other: '! . . . . ! . ! . . . ! ! ! ! ! !',
  'other-detached': '! . over-gone . over-gone ! . ! . over-gone . ! ! ! ! ! !',
  'other-gone': '! . over-gone . . ! . ! . . . ! ! ! ! ! !',
};

/** The keys of a record whose keys are phases. */
const NAMES = Object.keys(TABLE) as PhaseName[];

interface Step {
  readonly from: PhaseName;
  readonly event: StreamEvent;
  readonly to: PhaseName;
  readonly effects: readonly Effect[];
}

/** Every transition of the table. */
const STEPS: readonly Step[] = NAMES.flatMap((from) =>
  EVENTS.flatMap((event) => {
    const answer = transition(from, event);
    return typeof answer === 'string' ? [] : [{ from, event, ...answer }];
  }),
);

const isOver = (name: PhaseName): boolean => PHASES[name].isOver;

describe('the transition table', () => {
  it.each(NAMES)('handles every event in the phase `%s` as listed here', (from) => {
    const found = EVENTS.map((event) => {
      const answer = transition(from, event);
      if (answer === 'ignored') return '.';
      if (answer === 'impossible') return '!';
      return answer.to === from ? '=' : answer.to;
    });
    expect(found).toEqual(TABLE[from].split(' '));
  });

  it('has every event of the type', () => {
    const row: Readonly<Record<StreamEvent, unknown>> = Object.fromEntries(
      EVENTS.map((event) => [event, transition('undecided', event)]),
    ) as Record<StreamEvent, unknown>;
    expect(Object.values(row)).not.toContain(undefined);
    expect(new Set(EVENTS).size).toBe(EVENTS.length);
  });

  it('reaches every phase from `undecided`', () => {
    const reached = new Set<PhaseName>(['undecided']);
    for (const name of reached) {
      for (const { from, to } of STEPS) if (from === name) reached.add(to);
    }
    expect([...reached].toSorted()).toEqual(NAMES.toSorted());
  });

  it('has a way out of every phase that is not over, and none out of a phase that is', () => {
    const ways = new Map(NAMES.map((name) => [name, new Set<PhaseName>()]));
    for (const { from, to } of STEPS) ways.get(from)?.add(to);
    for (const name of NAMES.filter(isOver)) {
      expect([...(ways.get(name) ?? [])].filter((to) => !isOver(to))).toEqual([]);
    }
    const final = NAMES.filter((name) => [...(ways.get(name) ?? [])].every((to) => to === name));
    expect(final).toEqual(['over-gone', 'other']);
  });

  it('has the effect finish exactly when a response becomes over', () => {
    for (const { from, event, to, effects } of STEPS) {
      const finishes = effects.filter((effect) => effect === 'finish').length;
      const becomesOver = !isOver(from) && isOver(to);
      expect([from, event, finishes]).toEqual([from, event, becomesOver ? 1 : 0]);
      expect([from, event, becomesOver]).toEqual([from, event, effects.at(-1) === 'finish']);
    }
  });

  it('settles a message exactly once when a phase without settlement is left', () => {
    for (const { from, event, to, effects } of STEPS) {
      if (!PHASES[from].isUnsettled || PHASES[to].isUnsettled) continue;
      const settles = effects.filter((effect) => effect.startsWith('settle')).length;
      expect([from, event, settles]).toEqual([from, event, 1]);
    }
  });

  it('has the effect begin exactly when an undecided response becomes a stream', () => {
    for (const { from, event, to, effects } of STEPS) {
      const begins = event === 'began' && PHASES[to].kind === 'stream';
      expect([from, event, effects.includes('begin')]).toEqual([from, event, begins]);
    }
  });

  it('never brings a client back, and decides a response once', () => {
    const wrong = STEPS.filter(({ from, to }) => {
      const [before, after] = [PHASES[from], PHASES[to]];
      const isBack = before.clientGone && !after.clientGone;
      // What was no stream and is over counts as one; it was never begun, so nothing is said of it.
      const isUndone = before.kind === 'stream' && after.kind !== 'stream';
      return isBack || isUndone || (before.kind === 'other' && after.kind === 'undecided');
    });
    expect(wrong).toEqual([]);
  });

  it('keeps writes exactly in the phases in which the client or the message gets them', () => {
    const kept = NAMES.filter((name) => PHASES[name].isLive && !PHASES[name].discardsWrites);
    expect(kept).toEqual(['open', 'ending', 'ended', 'grace', 'detached', 'detached-settled']);
  });
});

describe('every sequence of events', () => {
  it('has the effects begin and finish at most once each, and begin never after finish', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 40 }), (events) => {
        const done: string[] = [];
        let name: PhaseName = 'undecided';
        for (const event of events) {
          const answer = transition(name, event);
          if (typeof answer === 'string') continue;
          done.push(...answer.effects.filter((effect) => /^(begin|finish)$/.test(effect)));
          name = answer.to;
        }
        expect(['', 'begin', 'finish', 'begin,finish']).toContain(done.join(','));
        expect(isOver(name)).toBe(done.includes('finish'));
      }),
      { numRuns: 2_000 },
    );
  });

  it('ends, after the client left and the process closes, in a phase that is over or without a stream', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 40 }), (events) => {
        let name: PhaseName = 'undecided';
        const take = (event: StreamEvent): void => {
          const answer = transition(name, event);
          if (typeof answer !== 'string') name = answer.to;
        };
        for (const event of events) take(event);
        const before = PHASES[name];
        for (const event of ['client-left', 'interrupted', 'finished'] as const) take(event);
        const isEnded = PHASES[name].isOver || PHASES[name].kind !== 'stream';
        expect([before.name, name, isEnded]).toEqual([before.name, name, true]);
      }),
      { numRuns: 2_000 },
    );
  });
});
