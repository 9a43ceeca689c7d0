/** *Lastchunk / Message save*: are messages being kept? */
import type { Board } from './panel.ts';
import { durabilityRow } from './saves-objective.ts';
import { blindSpotsRow, savesRow } from './saves-results.ts';
import { journalRow, poolRow } from './saves-keeping.ts';
import type { Scope } from './scope.ts';

export function savesBoard(scope: Scope): Board {
  return {
    uid: 'lastchunk-saves',
    title: 'Lastchunk / Message save',
    description:
      'Are messages being kept? From the top: the objective, every result of a save, what would stay unseen, and what saves go through.',
    rows: [
      durabilityRow(scope),
      savesRow(scope),
      blindSpotsRow(scope),
      journalRow(scope),
      poolRow(scope),
    ],
  };
}
