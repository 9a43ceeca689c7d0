/**
 * Starts the SDK as its own documentation says, by its own environment variables, and adds what a streaming app needs:
 * hooks for ES modules, and an end that sends the last spans.
 */
import { createRequire } from 'node:module';
import { flushTelemetry } from '../telemetry/flush.ts';
import { sharesApi } from '../telemetry/shared-api.ts';
import { flushAtTheEnd } from './ending.ts';
import { hookImports } from './imports.ts';
import { relabelNoise } from './noise.ts';
import { type AppPackages, appPackages } from './packages.ts';

const SDK = '@opentelemetry/sdk-node';

/** Instrumentations by package, with the class that each exports. Without the first there are no server spans. */
const INSTRUMENTATIONS = [
  { name: '@opentelemetry/instrumentation-http', exported: 'HttpInstrumentation' },
  { name: '@opentelemetry/instrumentation-express', exported: 'ExpressInstrumentation' },
  { name: '@opentelemetry/instrumentation-pg', exported: 'PgInstrumentation' },
] as const;

const HTTP = INSTRUMENTATIONS[0].name;

/** The part of `NodeSDK` that is the same in SDK 2.x and 3.x. */
type NodeSdk = new (options: { readonly instrumentations: readonly object[] }) => { start(): void };

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

function createInstrumentations(packages: AppPackages): readonly object[] {
  return INSTRUMENTATIONS.flatMap(({ name, exported }) => {
    const loaded = packages.loadOptional(name);
    if (loaded === undefined) return [];
    // Each of these packages exports its class under the name in the table.
    const Instrumentation = (loaded as Record<string, new () => object>)[exported];
    return Instrumentation === undefined ? [] : [new Instrumentation()];
  });
}

const TWO_COPIES =
  'the SDK and lastchunk use copies of @opentelemetry/api that do not know each other: spans and metrics of ' +
  'lastchunk go nowhere. `npx lastchunk doctor` says where they are.';

const NO_LABELS =
  'this version of the OpenTelemetry SDK has no place for the processors of lastchunk/otel: spans of requests whose ' +
  'client left keep the errors that instrumentations put there.';
