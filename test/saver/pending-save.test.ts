/** What every event does in every phase of a save: the whole table, and what holds for all of it. */
import { expect, test } from 'vitest';
import {
  PendingSave,
  type SaveEffect,
  type SaveEvent,
  type SavePhase,
  TRANSITIONS,
} from '../../src/saver/pending-save.ts';
import { createTestClock, messageOf, openedStream } from './fakes.ts';

const EVENTS: readonly SaveEvent[] = [
  'sent',
  'committed',
  'failed',
  'failed-late',
  'refused',
  'synced',
  'set-aside',
  'set-aside-with-later',
  'not-set-aside',
  'deadline-passed',
  'memory-full',
  'closed',
];

/** By phase, in the order of `EVENTS`: the phase after the event; `.` where the event changes nothing. */
const PHASES: Readonly<Record<SavePhase, string>> = {
  queued: 'sent released . queued . released . . . released released released',
  sent: '. released queued sent refused journaled . . . given-up . released',
  refused: '. released . . . . released released released refused-late . refused-late',
  journaled: '. released released . refused-late . . . . . . released',
  'given-up': '. released released . refused-late . . . . . . released',
  'refused-late': '. released . . . . released released released . . refused-late',
  released: '. released . released . . . . . . . .',
};

const phases = Object.keys(PHASES) as SavePhase[];
const WITHOUT_RESULT: ReadonlySet<SavePhase> = new Set(['queued', 'sent', 'refused']);

function saveIn(phase: SavePhase): PendingSave {
  const opened = openedStream();
  const save = new PendingSave(
    {
      message: messageOf(opened),
      stream: { ...opened, method: 'POST', guarded: true, chunks: 1, bytes: 5 },
      log: undefined,
      holds: () => true,
      confirmTimeoutMs: 2_000,
      missingAfterMs: 60_000,
    },
    createTestClock(),
    () => undefined,
  );
  save.phase = phase;
  return save;
}

test.each(phases)('handles every event in the phase `%s` as the table states', (phase) => {
  const wanted = PHASES[phase].split(' ');
  const found = EVENTS.map((event) => {
    const save = saveIn(phase);
    const effects = save.step(event);
    const isNothing = effects.length === 0 && save.phase === phase;
    return isNothing ? '.' : save.phase;
  });
  expect(found).toEqual(wanted);
});

test('gives a result exactly on each transition out of a phase without one', () => {
  for (const phase of phases) {
    for (const event of EVENTS) {
      const save = saveIn(phase);
      const results = save.step(event).filter(isResult);
      const isDecided = WITHOUT_RESULT.has(phase) && !WITHOUT_RESULT.has(save.phase);
      expect([phase, event, results.length]).toEqual([phase, event, isDecided ? 1 : 0]);
    }
  }
});

test('has at most one effect on the log on every path to `released`', () => {
  const logEffects: readonly SaveEffect[] = ['settle-log', 'hand-over', 'let-go'];
  for (const phase of phases) {
    for (const [event, transition] of Object.entries(TRANSITIONS[phase])) {
      const decided = transition.effects.filter((effect) => logEffects.includes(effect));
      const isReleased = transition.to === 'released' && phase !== 'released';
      // A refused save that is closed is left to replay while it is being set aside.
      const wanted = isReleased || (event === 'closed' && transition.to === 'refused-late') ? 1 : 0;
      expect([phase, event, decided.length]).toEqual([phase, event, wanted]);
    }
  }
});

function isResult(effect: SaveEffect): boolean {
  return effect.startsWith('result-');
}
