/**
 * A second set of labelled errors, by somebody who had not seen how the classifier decides.
 *
 * The question behind each label is the one of whoever is on call: is this error nothing but a consequence of this
 * client's leaving, or of this stream's being stopped? Then it is noise. Could it be a failure of ours, of the provider
 * or of the database? Then it is not: also where it was a consequence in truth, but everything that can be seen of it
 * is what a failure looks like. While the client is there nothing is noise.
 */
import type { Case } from './case.ts';
import { APP } from './second-app.ts';
import { DATABASE } from './second-database.ts';
import { ELSEWHERE } from './second-elsewhere.ts';
import { FETCH } from './second-fetch.ts';
import { SDKS } from './second-sdks.ts';
import { SIGNALS } from './second-signals.ts';
import { STREAMS } from './second-streams.ts';
import { UPSTREAM } from './second-upstream.ts';

/** The cases of the second corpus. */
export const CASES: readonly Case[] = [
  ...SIGNALS,
  ...STREAMS,
  ...ELSEWHERE,
  ...FETCH,
  ...UPSTREAM,
  ...SDKS,
  ...DATABASE,
  ...APP,
];
