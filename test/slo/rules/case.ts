/** One case of the rule tests: what is scraped, and which alerts fire when. */
import type { InputSeries } from './series.ts';

export interface Case {
  /** A sentence. */
  readonly name: string;
  readonly series: readonly InputSeries[];
  /**
   * By time since the start (`1h30m`): every alert that fires then, and no other, as
   * `LastchunkX severity[ long][ cause]`.
   */
  readonly firing: Readonly<Record<string, readonly string[]>>;
  /** Further queries at a time, without labels in their answer; no value is no series. */
  readonly values?: readonly {
    readonly at: string;
    readonly query: string;
    readonly value: number | undefined;
  }[];
  /** Minutes between evaluations. Default 1; more for a case of many hours. */
  readonly every?: number;
  /** Set where other services beside it would change what it is about. */
  readonly alone?: true;
}
