/**
 * What a labelled error is: how it is provoked, what it looks like, and, for each scene, whether it is noise. The labels
 * are written by hand, from what happened and not from what the classifier says.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Lastchunk, StreamHandle } from '../../../src/index.ts';
import type { Asking, HttpClient } from '../../support/http-client.ts';

/** What happens to the stream that the error belongs to. */
export const SCENES = {
  left: 'its client has left',
  reset: 'its client has reset the connection',
  stopped: 'it was stopped',
  closing: 'close() has interrupted it',
  there: 'its client is there',
} as const;

export type Scene = keyof typeof SCENES;

/** A stream in the middle of its answer, and the means to go on. */
export interface Stage {
  readonly keep: Lastchunk;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly handle: StreamHandle;
  /** The client; there is none over HTTP/2. */
  readonly httpClient: HttpClient;
  readonly scene: Scene;
  /** Plays the scene; resolves when this process has met it. Nothing happens where the client stays. */
  depart(): Promise<void>;
  /** A PostgreSQL, as superuser. */
  readonly connectionString: string;
}

/** One way to get an error. */
export interface Case {
  readonly what: string;
  /** The library or module that makes it; scores are told apart by it. */
  readonly source: string;
  /**
   * `Class name code` of the error; `-` where there is none. Shows that it is what its label is about. Several where the
   * versions of Node differ.
   */
  readonly look: string | readonly string[];
  /** The scenes to play, and whether the error is noise in each. */
  readonly noise: Partial<Record<Scene, boolean>>;
  /**
   * Why nothing that can be seen of it tells noise from a failure. Such cases are scored apart.
   */
  readonly undecidable?: string;
  /** Plays, and gives the error back. */
  readonly provoke: (stage: Stage) => Promise<unknown>;
  /** What the client asks; default a GET. */
  readonly asking?: Asking;
  /** Nothing has been answered when `provoke` is called. */
  readonly unanswered?: boolean;
  /** Default `observe`; `finish` is a guard under which a stream outlives its client, `keep` one under which it does not. */
  readonly under?: 'observe' | 'finish' | 'keep';
  readonly transport?: 'http' | 'http2';
}

/** `Class name code`, as `look` says it. */
export function lookOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return typeof error;
  const { name, code } = error as { name?: string; code?: string | number };
  const made = Object.getPrototypeOf(error) as { constructor?: { name?: string } } | null;
  return [made?.constructor?.name, name, code].map((part) => part ?? '-').join(' ');
}
