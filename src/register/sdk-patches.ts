/**
 * What the app's SDK needs and has no option for: `import` made visible to its instrumentations, and the processors of
 * `lastchunk/otel` put into its providers.
 */
import { createRequire, register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { isObject } from '../core/values.ts';
import {
  type EndedSpan,
  noiseLogRecordProcessor,
  noiseSpanProcessor,
  type SpanProcessorOf,
  type StartedSpan,
} from '../noise/adapters/otel.ts';
import { registeredProviders } from '../telemetry/providers.ts';

/** What is instrumented. Only these pass the hook: it rewrites what it lets through, and not every module bears that. */
const HOOKED = ['http', 'https', 'express', 'pg', 'pg-pool'];

/** Where a provider keeps its processors, from the provider inwards. */
const SPAN_PROCESSORS = ['_activeSpanProcessor', '_spanProcessors'];
const LOG_RECORD_PROCESSORS = ['_sharedState', 'activeProcessor', 'processors'];

/** `import-in-the-middle/register-hooks.mjs`, from its version 3.1 on. */
interface SyncHooks {
  supportsSyncHooks(): boolean;
  register(options: { readonly include: readonly string[] }): void;
}

/**
 * Makes `import` visible to instrumentations: what `require()` loads they see by themselves, what an ES module imports
 * passes a hook of the module loader. Installs the hook of the `import-in-the-middle` that the instrumentations use;
 * `instrumentation` is the file of `@opentelemetry/instrumentation`. The hook runs in this thread where Node can do that
 * (from 26 on it warns about the other way), else in a separate thread.
 */
export function hookImports(instrumentation: string): void {
  const sync = loadSyncHooks(createRequire(instrumentation));
  if (sync?.supportsSyncHooks() === true) {
    sync.register({ include: HOOKED });
    return;
  }
  const parent = pathToFileURL(instrumentation);
  register('import-in-the-middle/hook.mjs', parent, { data: { include: HOOKED } });
}

function loadSyncHooks(require: NodeJS.Require): SyncHooks | undefined {
  try {
    // True for every version that has the file.
    return require('import-in-the-middle/register-hooks.mjs') as SyncHooks;
  } catch {
    // An older one, which only knows the other way.
    return undefined;
  }
}

/**
 * Takes the ERROR off spans and log records that are noise. `NodeSDK` makes its exporters from the environment only as long
 * as it is given no processor, so ours go into the lists that its providers keep; those have had the same names since SDK
 * 2.0, and both lines of the SDK are tested. False when a provider of the SDK keeps its list elsewhere.
 */
export function relabelNoise(): boolean {
  const { traces, logs } = registeredProviders();
  const [spans, records] = [listIn(traces, SPAN_PROCESSORS), listIn(logs, LOG_RECORD_PROCESSORS)];
  // In place: tracers and loggers that exist already hold the same list.
  // A list under this name holds what the SDK's interface of processors says.
  spans?.forEach((inner, at) => {
    spans[at] = noiseSpanProcessor(inner as SpanProcessorOf<StartedSpan, EndedSpan, unknown>);
  });
  records?.unshift(noiseLogRecordProcessor());
  return (spans !== undefined || !isOfSdk(traces)) && (records !== undefined || !isOfSdk(logs));
}

/** The API's own providers, which are there where an exporter is `none`, flush nothing. */
function isOfSdk(provider: object | undefined): boolean {
  return provider !== undefined && 'forceFlush' in provider;
}

function listIn(provider: object | undefined, path: readonly string[]): unknown[] | undefined {
  let found: unknown = provider;
  for (const name of path) {
    if (!isObject(found)) return undefined;
    found = Reflect.get(found, name);
  }
  return Array.isArray(found) ? found : undefined;
}
