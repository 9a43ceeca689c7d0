/** The labelled errors that the classifier was written with. */
import { ABORTS } from './aborts.ts';
import type { Case } from './case.ts';
import { CLIENTS } from './clients.ts';
import { HTTP2 } from './http2.ts';
import { POSTGRES } from './postgres.ts';
import { REQUESTS } from './requests.ts';
import { RESPONSES } from './responses.ts';
import { WRAPPED } from './wrapped.ts';

export const CASES: readonly Case[] = [
  ...ABORTS,
  ...REQUESTS,
  ...RESPONSES,
  ...HTTP2,
  ...CLIENTS,
  ...POSTGRES,
  ...WRAPPED,
];
