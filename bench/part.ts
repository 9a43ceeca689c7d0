/** What the parts of the bench have in common. */
import type { Built } from './built.ts';
import type { Databases } from './databases.ts';
import type { Figure } from './figures.ts';

/** What a part is given. */
export interface Bench {
  readonly built: Built;
  readonly databases: Databases;
  /** As little as shows that it works. */
  readonly quick: boolean;
  /** How long `endurance` goes on. */
  readonly minutes: number;
  /** Takes a figure, as soon as it is known. */
  readonly found: (figure: Figure) => void;
  /** Takes a line that is not a figure and belongs to the results. */
  readonly note: (text: string) => void;
}

/** A part of the bench. */
export interface Part {
  readonly name: string;
  /** For `--help`. */
  readonly about: string;
  /** Runs only when it is asked for, or with `--quick`. */
  readonly onRequest?: true;
  readonly run: (bench: Bench) => Promise<void>;
}
