/** A stream that goes on after its message was settled, when only the disk has its body: what it says is written ahead all the same. */
import { describe, expect, it } from 'vitest';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Opened, Speaker } from '../support.ts';
import { emptyDirectory, ending, onDisk, open, recoverAll, speaker } from '../support.ts';

/** How a stream comes to be on disk only and settled, and goes on to live. */
const WAYS: ReadonlyArray<readonly [string, (journal: Opened['journal'], one: Speaker) => void]> = [
  [
    'left memory and was saved',
    (journal, one) => {
      expect(one.log.releaseBody()).toBe(6);
      journal.end(one.log, ending(one.opened));
      journal.settled(one.log);
    },
  ],
  [
    'was kept and replayed',
    (journal, one) => {
      journal.end(one.log, ending(one.opened));
      journal.keep(one.log);
      for (const entry of journal.backlog(1)) void entry.settle();
    },
  ],
];

describe.each(WAYS)('a stream that %s', (_, settle) => {
  async function settled() {
    const path = emptyDirectory();
    const { journal } = open(path);
    const one = speaker(journal, 1);
    one.say('first ');
    await nextTurn();
    settle(journal, one);
    await nextTurn();
    expect(journal.backlogSize()).toBe(0);
    return { path, journal, one };
  }

  it('and goes on is whole on disk', async () => {
    const { path, journal, one } = await settled();
    one.say('second');
    await nextTurn();
    expect(onDisk(path, 'second')).toBe(true);
    expect(await journal.sync(one.log)).toBe(true);
    await journal.close();
    const next = open(path);
    const [found, ...others] = await recoverAll(next.journal);
    expect(others).toEqual([]);
    expect(found?.text).toBe('first second');
  });

  it('and goes on, and is saved again, has no entry when it is over', async () => {
    const { journal, one } = await settled();
    one.say('second');
    journal.end(one.log, ending(one.opened, { revision: 1 }));
    journal.settled(one.log);
    one.log.close();
    await nextTurn();
    expect(journal.state()).toMatchObject({ entries: 0, degraded: undefined });
  });

  it('and is over has no entry', async () => {
    const { journal, one } = await settled();
    expect(journal.state().entries).toBe(1);
    one.log.close();
    await nextTurn();
    expect(journal.state()).toMatchObject({ entries: 0, degraded: undefined });
  });

  it('leaves no entry when the journal closes', async () => {
    const { path, journal } = await settled();
    await journal.close();
    expect(await recoverAll(open(path).journal)).toEqual([]);
  });
});
