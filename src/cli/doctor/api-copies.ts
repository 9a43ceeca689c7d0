/**
 * Copies of `@opentelemetry/api`. An SDK registers itself with the copy that it imports. A copy of a later minor version, or of another
 * major one, does not accept the registration: it does nothing, without an error.
 */
import { relative } from 'node:path';
import { type DoctorFinding, noteFinding, wrongFinding } from './finding.ts';
import { findInstalled, type Installed, isInRange, listCopies } from './installed.ts';

/** The name of the package. */
export const API = '@opentelemetry/api';

/**
 * Packages that register an SDK, in the order of the search: first the one that starts an SDK, then those from which apps build one by
 * hand, last those that include their own.
 */
const SDKS = [
  ...['sdk-node', 'sdk-trace', 'sdk-trace-node', 'sdk-trace-base', 'sdk-metrics'].map(
    (name) => `@opentelemetry/${name}`,
  ),
  '@sentry/node',
  'dd-trace',
  '@traceloop/node-server-sdk',
];

/** The package that registers an SDK in the app in the directory `app`; `undefined` where there is none. */
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
  const fix = `npm dedupe; \`npm ls ${API}\` shows which package requires which version`;
  if (deaf.length === 0) {
    return [noteFinding('api-copies', `${API} is installed ${copies.size} times (${list})`, fix)];
  }
  const lost = deaf.some(({ path }) => path === ours.path) ? 'lastchunk' : 'some instrumentations';
  const says = `${API} is installed ${copies.size} times (${list}): the reports of ${lost} are dropped`;
  // A package that requires an older version keeps its own copy, which `npm dedupe` cannot merge with a later one.
  const older = `npm install ${API}@${registered.version}, then ${fix}`;
  return [wrongFinding('api-copies', says, older)];
}

/** The API's own rule (its `internal/semver`): a copy accepts a registration by its own minor version or a later one. */
function accepts(version: string, registered: string): boolean {
  return isInRange(registered, `^${version.replace(/^(\d+\.\d+).*$/, '$1')}`);
}
