/**
 * Leaves of a stream in a generic format that no row accounts for. A leaf that is the same in every frame with a text (an id, a model,
 * a session) is about the stream; every other leaf is content.
 */
import type { Leaf } from './account.ts';

/** How a leaf counts if it is content: as content that the format recognises, or as unknown. */
export type Weight = 'known' | 'unknown';

interface Seen {
  readonly value: Leaf;
  readonly weight: Weight;
  /** Frames with a text that have it. */
  frames: number;
}

/** Maximum number of leaves that are stored; a frame with more is content. */
export const MAX_LEAVES = 256;

export class RepeatedLeaves {
  /** By path. */
  #leaves = new Map<string, Seen>();
  /** Leaves of frames without a text: they are content unless frames with a text have them too. */
  #alone = new Map<string, Seen>();
  #textFrames = 0;
  #last: readonly Seen[] = [];
  #content: Weight | undefined;

  /** An independent copy. */
  copy(): RepeatedLeaves {
    const copy = new RepeatedLeaves();
    copy.#leaves = new Map([...this.#leaves].map(([path, seen]) => [path, { ...seen }] as const));
    copy.#alone = new Map(this.#alone);
    copy.#textFrames = this.#textFrames;
    copy.#content = this.#content;
    return copy;
  }

  /** Takes the leaves of one frame that are not accounted for. */
  add(
    leaves: readonly (readonly [path: string, leaf: Leaf])[],
    hasText: boolean,
    weight: Weight,
  ): void {
    if (hasText) this.#textFrames += 1;
    const last: Seen[] = [];
    for (const [path, value] of leaves) {
      const seen = hasText ? this.#seenIn(path, value, weight) : undefined;
      if (seen !== undefined) last.push(seen);
      else if (!hasText) this.#addAlone(path, { value, weight, frames: 0 });
    }
    if (hasText) this.#last = last;
  }

  /** The leaves of the frame with a text that was added last, to be given to `repeat`. */
  get last(): readonly object[] {
    return this.#last;
  }

  /** Another frame with a text has the leaves of an earlier one. */
  repeat(leaves: readonly object[]): void {
    this.#textFrames += 1;
    // The leaves come from `last`.
    for (const leaf of leaves as readonly Seen[]) leaf.frames += 1;
  }

  /** `unknown` if one leaf of that weight is content, else `known` if one is; `undefined` where all are about the stream. */
  get content(): Weight | undefined {
    let content = this.#content;
    for (const { frames, weight } of this.#leaves.values()) {
      // With only one frame, nothing shows that the leaf repeats.
      if (frames < this.#textFrames || frames < 2) content = graver(content, weight);
    }
    for (const [path, { value, weight }] of this.#alone) {
      if (this.#leaves.get(path)?.value !== value) content = graver(content, weight);
    }
    return content;
  }

  #seenIn(path: string, value: Leaf, weight: Weight): Seen | undefined {
    const seen = this.#leaves.get(path);
    if (seen === undefined && this.#textFrames === 1 && this.#leaves.size < MAX_LEAVES) {
      const first = { value, weight, frames: 1 };
      this.#leaves.set(path, first);
      return first;
    }
    if (seen?.value !== value) {
      this.#content = graver(this.#content, weight);
      return undefined;
    }
    seen.frames += 1;
    return seen;
  }

  #addAlone(path: string, seen: Seen): void {
    const before = this.#alone.get(path);
    const fits = before === undefined ? this.#alone.size < MAX_LEAVES : before.value === seen.value;
    if (!fits) this.#content = graver(this.#content, seen.weight);
    else this.#alone.set(path, seen);
  }
}

function graver(a: Weight | undefined, b: Weight): Weight {
  return a === 'unknown' ? a : b;
}
