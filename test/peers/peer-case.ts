/** A documented behaviour of another package, as an app that has it and a client that requests it. */
import type { RequestListener } from 'node:http';
import type { Asking } from '../support/http-client.ts';

/** Notes what a package tells its app: a callback, an event, a line of a log. */
export type Note = (line: string) => void;

/** What a client asks, on a connection of its own; `GET /` by default. */
export interface PeerRequest extends Asking {
  readonly path?: string;
  /** It resets its connection when it has seen this. */
  readonly leavesAt?: string;
}

/** One behaviour of one package. */
export interface PeerCase {
  /** The package's name. */
  readonly peer: string;
  /** What it does, as its documentation has it. */
  readonly shows: string;
  readonly app: (note: Note) => RequestListener | Promise<RequestListener>;
  /** One request of the kind above by default. */
  readonly asks?: readonly PeerRequest[];
  /** Parts of what clients are sent, and of the notes, without any guard. */
  readonly sees: readonly string[];
}

/** Cases of one package. */
export function casesOf(
  peer: string,
  cases: Readonly<Record<string, Omit<PeerCase, 'peer' | 'shows'>>>,
): readonly PeerCase[] {
  return Object.entries(cases).map(([shows, one]) => ({ peer, shows, ...one }));
}
