/**
 * Starts the SDK as its own documentation says, by its own environment variables, and adds what a streaming app needs:
 * hooks for ES modules, and an end that sends the last spans.
 */
import { createRequire } from 'node:module';
import { LastchunkError } from '../core/errors.ts';
import { appPlaces, findPeer, loadPeer } from '../core/load-peer.ts';
import { flushTelemetry, sharesApi } from '../telemetry/providers.ts';
import { hookImports, relabelNoise } from './sdk-patches.ts';
import { installCommand } from './install.ts';

const SDK = '@opentelemetry/sdk-node';
const HTTP = '@opentelemetry/instrumentation-http';

/** How long the end of the process may wait for a collector that hangs. */
const FLUSH_MS = 2_000;

/** The signals that end a process by Node's default and are sent on purpose. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Instrumentations by package, with the class that each exports. Without the first there are no server spans. */
const INSTRUMENTATIONS: readonly {
  readonly name: string;
  readonly exported: string;
  readonly config?: object;
}[] = [
  { name: HTTP, exported: 'HttpInstrumentation' },
  {
    name: '@opentelemetry/instrumentation-express',
    exported: 'ExpressInstrumentation',
    // It gives what follows a middleware the span from before it, which is not that of the stream.
    config: { ignoreLayers: ['middleware - lastchunkGuard', 'middleware - lastchunkObserve'] },
  },
  { name: '@opentelemetry/instrumentation-pg', exported: 'PgInstrumentation' },
];

/** The part of `NodeSDK` that is the same in SDK 2.x and 3.x. */
type NodeSdk = new (options: { readonly instrumentations: readonly object[] }) => { start(): void };

/**
 * Loads the app's own packages, from where the app is: the SDK has to be the one whose instrumentations and API the rest of
 * the app meets.
 */
interface AppPackages {
  /** Each package of `needed`, in order. Throws `missing-peer` that names all that are not there. */
  load(needed: readonly string[]): readonly unknown[];
  /** `undefined` when it is not installed. Throws what the package throws when it is loaded. */
  loadOptional(name: string): unknown;
  /** The file that `name` is loaded from. Throws `missing-peer`. */
  locate(name: string): string;
}

/**
 * Starts it, unless `OTEL_SDK_DISABLED` is true. Throws `missing-peer` with the npm command for what is not installed.
 */
export function startTelemetry(packages: AppPackages = appPackages()): void {
  // As the specification has it: only the word true, in any case.
  if (process.env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return;
  const [sdk] = packages.load([SDK, HTTP]);
  // What the package of this name exports, in every version of our peer range.
  const { NodeSDK } = sdk as { readonly NodeSDK: NodeSdk };
  hookImports(createRequire(packages.locate(HTTP)).resolve('@opentelemetry/instrumentation'));
  new NodeSDK({ instrumentations: createInstrumentations(packages) }).start();
  // Patched when it is required for the first time after the start, which an ES module never does.
  createRequire(import.meta.url)('node:http');
  createRequire(import.meta.url)('node:https');
  if (!sharesApi()) process.emitWarning(TWO_COPIES, { code: 'LASTCHUNK_TWO_APIS' });
  else if (!relabelNoise()) process.emitWarning(NO_LABELS, { code: 'LASTCHUNK_NO_NOISE_LABELS' });
  flushAtTheEnd(flushTelemetry);
}

/**
 * Looks beside the program that was started, then beside lastchunk itself, and last where it was started: for a program
 * that is run by another one (`tsx app.ts`, a process manager) the first is that other one's home.
 */
function appPackages(program: string | undefined = process.argv[1]): AppPackages {
  const known = appPlaces(program);
  const places = [...known.slice(0, -1), import.meta.url, ...known.slice(-1)];
  const find = (name: string): string | undefined => findPeer(name, places);
  const loadOptional = (name: string): unknown =>
    find(name) === undefined ? undefined : loadPeer(name, places);
  return {
    loadOptional,
    load(needed) {
      const missing = needed.filter((name) => find(name) === undefined);
      if (missing.length > 0) throw missingPeers(missing);
      return needed.map(loadOptional);
    },
    locate(name) {
      const file = find(name);
      if (file === undefined) throw missingPeers([name]);
      return file;
    },
  };
}

function missingPeers(names: readonly string[]): LastchunkError {
  return new LastchunkError(
    'missing-peer',
    `lastchunk/register needs what is not installed: ${installCommand(names, process.versions.node)}`,
  );
}

function createInstrumentations(packages: AppPackages): readonly object[] {
  return INSTRUMENTATIONS.flatMap(({ name, exported, config }) => {
    const loaded = packages.loadOptional(name);
    if (loaded === undefined) return [];
    // Each of these packages exports its class under the name in the table.
    const Instrumentation = (loaded as Record<string, new (config?: object) => object>)[exported];
    return Instrumentation === undefined ? [] : [new Instrumentation(config)];
  });
}

/**
 * For apps that do not call `keep.close()`, which flushes by itself. Calls `flush` once before the process ends by itself, and before one
 * of the signals ends it. When other code listens to a signal, this listener is removed, so that the other one alone decides.
 */
function flushAtTheEnd(flush: (ms: number) => Promise<void>): void {
  // Bounded by the exporters' own time-outs: what else may keep the process alive is not ours to cut off.
  process.once('beforeExit', () => void flush(FLUSH_MS));
  for (const signal of SIGNALS) {
    // A listener exists where another module was preloaded before this one.
    if (process.listenerCount(signal) === 0) endAfterFlush(signal, flush);
  }
}

function endAfterFlush(
  signal: (typeof SIGNALS)[number],
  flush: (ms: number) => Promise<void>,
): void {
  const end = (): void => {
    // Without this listener a second signal ends the process at once, and so does the signal that is sent below.
    process.off(signal, end);
    process.off('newListener', notice);
    void flush(FLUSH_MS).then(() => process.kill(process.pid, signal));
  };
  const notice = (name: string | symbol): void => {
    if (name !== signal) return;
    process.off('newListener', notice);
    // The other listener is not added yet. If ours, the last one, were removed now, Node would stop watching for the signal.
    process.nextTick(() => process.off(signal, end));
  };
  process.on(signal, end);
  process.on('newListener', notice);
}

const TWO_COPIES =
  'the SDK and lastchunk use copies of @opentelemetry/api that do not know each other: spans and metrics of ' +
  'lastchunk go nowhere. `npx lastchunk doctor` says where they are.';

const NO_LABELS =
  'this version of the OpenTelemetry SDK has no place for the processors of lastchunk/otel: spans of requests whose ' +
  'client left keep the errors that instrumentations put there.';
