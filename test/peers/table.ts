/** Every behaviour of other packages that is compared bare, under `observe()` and under `guard()`. */
import { EXPRESS } from './express.ts';
import { FILES } from './files.ts';
import { FRAMEWORK_CASES } from './frameworks.ts';
import { AROUND_HANDLERS } from './middleware.ts';
import type { PeerCase } from './peer-case.ts';
import { STREAM_CASES } from './streams.ts';

export const PEER_CASES: readonly PeerCase[] = [
  ...EXPRESS,
  ...AROUND_HANDLERS,
  ...FILES,
  ...FRAMEWORK_CASES,
  ...STREAM_CASES,
];

/** In what each of them is run besides bare. */
export const PEER_GUARDS = ['observe()', 'guard()', 'guard({ stream: true })'] as const;
