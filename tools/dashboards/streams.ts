/** *Lastchunk / Streams*: their number, endings and durations, and the processes that they run in. */
import type { Board } from './panel.ts';
import type { Scope } from './scope.ts';
import { endingsRow, ratesRow } from './streams-endings.ts';
import { durationsRow, runtimeRow } from './streams-times.ts';

export function streamsBoard(scope: Scope): Board {
  return {
    uid: 'lastchunk-streams',
    title: 'Lastchunk / Streams',
    description:
      'How streams do: their rate, how they end, how long they take, and the processes they run in.',
    rows: [ratesRow(scope), endingsRow(scope), durationsRow(scope), runtimeRow(scope)],
  };
}
