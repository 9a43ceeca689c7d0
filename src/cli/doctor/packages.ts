/** Finds installed packages that do not work together, although each of them loads. */
import { fileURLToPath } from 'node:url';
import { installCommand } from '../../register/install.ts';
import { type DoctorFinding, noteFinding, wrongFinding } from './finding.ts';
import { API, examineApi, findSdk } from './api-copies.ts';
import { findInstalled, type Installed, isInRange, readPackage } from './installed.ts';

/** Packages that create spans of requests without OpenTelemetry's instrumentations. */
const TRACING_BY_THEMSELVES: readonly string[] = ['@sentry/node', 'dd-trace'];
const PROMETHEUS = ['prom-client', '@prometheus-io/client'] as const;

/** All findings about the packages of the app in the directory `app`, an absolute path. */
export function examinePackages(app: string, nodeVersion: string): readonly DoctorFinding[] {
  const own = ownPackage(app);
  const peers = Object.keys(own.peerDependencies)
    .map((name) => findInstalled(name, app))
    .filter((found) => found !== undefined);
  return [
    ...examineNode(own, nodeVersion),
    ...peers.flatMap((peer) => examinePeer(peer, { own, app, nodeVersion })),
    ...examineApi(own, app),
    ...examineSdk(app, nodeVersion),
    ...examinePrometheus(app),
    ...examineOrder(app),
  ];
}

/** The lastchunk that the app loads; if the app has none, the one that runs this command. */
function ownPackage(app: string): Installed {
  const running = readPackage(fileURLToPath(new URL('../../..', import.meta.url)));
  const own = findInstalled('lastchunk', app) ?? running;
  if (own === undefined) throw new Error('lastchunk has no package.json beside its code');
  return own;
}

function examineNode(own: Installed, nodeVersion: string): readonly DoctorFinding[] {
  const range = own.node ?? '*';
  if (isInRange(nodeVersion, range)) return [];
  const says = `Node ${nodeVersion} is not supported by lastchunk ${own.version}`;
  return [wrongFinding('node', says, `use Node ${range}`)];
}

interface Surroundings {
  readonly own: Installed;
  readonly app: string;
  readonly nodeVersion: string;
}

/** Checks the version of a peer, and the versions of Node and of the OpenTelemetry API that the peer requires. */
function examinePeer(peer: Installed, { own, app, nodeVersion }: Surroundings): DoctorFinding[] {
  const { name, version } = peer;
  const findings: DoctorFinding[] = [];
  const range = own.peerDependencies[name] ?? '*';
  if (!isInRange(version, range)) {
    const says = `${name} ${version} is outside of the range that lastchunk supports (${range})`;
    findings.push(wrongFinding('peer', says, `npm install "${name}@${range}"`));
  }
  if (peer.node !== undefined && !isInRange(nodeVersion, peer.node)) {
    const says = `${name} ${version} is not made for Node ${nodeVersion} (it wants ${peer.node})`;
    findings.push(wrongFinding('peer', says, `use another Node, or an older ${name}`));
  }
  const api = findInstalled(API, peer.path) ?? findInstalled(API, app);
  const wanted = peer.peerDependencies[API];
  if (api !== undefined && wanted !== undefined && !isInRange(api.version, wanted)) {
    const says = `${name} ${version} wants ${API} ${wanted} and gets ${api.version}`;
    findings.push(wrongFinding('peer', says, `npm install "${API}@${wanted}"`));
  }
  return findings;
}

function examineSdk(app: string, nodeVersion: string): readonly DoctorFinding[] {
  const sdk = findSdk(app);
  const http = '@opentelemetry/instrumentation-http';
  if (sdk === undefined) {
    const measured = PROMETHEUS.some((name) => findInstalled(name, app) !== undefined);
    const command = installCommand(['@opentelemetry/sdk-node', http], nodeVersion);
    const fix = `${command}, and start with --import lastchunk/register`;
    return measured
      ? [noteFinding('sdk', 'no OpenTelemetry SDK is installed: there are no traces', fix)]
      : [
          wrongFinding(
            'sdk',
            'neither an OpenTelemetry SDK nor prom-client is installed: nothing is measured',
            fix,
          ),
        ];
  }
  if (TRACING_BY_THEMSELVES.includes(sdk.name) || findInstalled(http, app) !== undefined) return [];
  const says = `${http} is not installed: streams have no request span above them`;
  return [noteFinding('sdk', says, installCommand([http], nodeVersion))];
}

function examinePrometheus(app: string): readonly DoctorFinding[] {
  const found = PROMETHEUS.filter((name) => findInstalled(name, app) !== undefined);
  if (found.length < PROMETHEUS.length) return [];
  const says = `${found.join(' and ')} are both installed: each has a registry of its own, and one of them is not scraped`;
  return [wrongFinding('prometheus-clients', says, 'remove one of them')];
}

/** The order of middleware is decided at run time: lastchunk warns about a wrong one after the first stream. */
function examineOrder(app: string): readonly DoctorFinding[] {
  if (findInstalled('compression', app) === undefined) return [];
  const says =
    'whether compression() is before observe() and guard() is known only when the app runs';
  return [noteFinding('order', says, 'look for a warning of lastchunk after the first stream')];
}
