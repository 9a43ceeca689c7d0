/**
 * Copies of `@opentelemetry/api`. Each SDK registers itself with the copy that it gets; one that does not accept what was
 * registered does nothing, without a word.
 */
import { relative } from 'node:path';
import { type DoctorFinding, noteFinding, wrongFinding } from './finding.ts';
import { findInstalled, type Installed, isInRange, listCopies } from './installed.ts';

/** The name of the package. */
export const API = '@opentelemetry/api';

/**
 * What registers an SDK, in the order in which one is looked for. With the first it is started, the next are what apps build
 * on by hand, and the last bring one of their own.
 */
const SDKS = [
  ...['sdk-node', 'sdk-trace', 'sdk-trace-node', 'sdk-trace-base', 'sdk-metrics'].map(
    (name) => `@opentelemetry/${name}`,
  ),
  '@sentry/node',
  'dd-trace',
  '@traceloop/node-server-sdk',
];

/** What registers an SDK in the app in `app`; `undefined` where nothing does. */
export function findSdk(app: string): Installed | undefined {
  return SDKS.map((name) => findInstalled(name, app)).find((found) => found !== undefined);
}

/** Lists the copies of the API, and whether reports of lastchunk and others are dropped. `own` is the app's lastchunk. */
export function examineApi(own: Installed, app: string): readonly DoctorFinding[] {
  const ours = findInstalled(API, own.path) ?? findInstalled(API, app);
  if (ours === undefined) {
    return [wrongFinding('peer', `${API} is not installed`, `npm install ${API}`)];
  }
  const copies = new Map([ours, ...listCopies(API, app)].map((copy) => [copy.path, copy]));
  if (copies.size === 1) return [];
  const registered = findInstalled(API, findSdk(app)?.path ?? app) ?? ours;
  const deaf = [...copies.values()].filter(({ version }) => !accepts(version, registered.version));
  const list = [...copies.values()]
    .map(({ version, path }) => `${version} in ${relative(app, path)}`)
    .join(', ');
  const fix = `npm dedupe; \`npm ls ${API}\` shows who wants which`;
  if (deaf.length === 0) {
    return [noteFinding('api-copies', `${API} is installed ${copies.size} times (${list})`, fix)];
  }
  const lost = deaf.some(({ path }) => path === ours.path) ? 'lastchunk' : 'some instrumentations';
  const says = `${API} is installed ${copies.size} times (${list}): what ${lost} report goes nowhere`;
  // Who wants no later one than that keeps a copy of its own, which no dedupe can join with a later one.
  const older = `npm install ${API}@${registered.version}, then ${fix}`;
  return [wrongFinding('api-copies', says, older)];
}

/** The API's own rule (its `internal/semver`): a copy accepts what was registered by its own minor version or a later one. */
function accepts(version: string, registered: string): boolean {
  return isInRange(registered, `^${version.replace(/^(\d+\.\d+).*$/, '$1')}`);
}
