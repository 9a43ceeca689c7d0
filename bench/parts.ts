/** The parts of the bench, in the order in which they run. */
import type { Built } from './built.ts';
import type { Figure } from './figures.ts';
import { benchJournal } from './journal.ts';
import { benchLatency } from './latency.ts';
import { benchMemory } from './memory.ts';
import { benchProfile } from './profile.ts';
import { benchRecovery } from './recovery.ts';
import { benchSaves } from './saves.ts';

/** What a part is given. */
export interface Bench {
  readonly built: Built;
  /** As little as shows that it works. */
  readonly quick: boolean;
  /** Takes a figure, as soon as it is known. */
  readonly found: (figure: Figure) => void;
  readonly say: (text: string) => void;
}

/** Every part by its name. */
export const PARTS: readonly {
  readonly name: string;
  readonly run: (bench: Bench) => Promise<void>;
}[] = [
  { name: 'saves', run: benchSaves },
  { name: 'latency', run: benchLatency },
  { name: 'journal', run: benchJournal },
  { name: 'recovery', run: benchRecovery },
  { name: 'memory', run: benchMemory },
  { name: 'profile', run: benchProfile },
];
