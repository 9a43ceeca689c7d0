/**
 * Puts the processors of `lastchunk/otel` into the SDK. `NodeSDK` makes its exporters from the environment only as long
 * as nobody hands it a processor, and what it has made it does not give out. So they are put into the lists that its
 * providers keep, which have had the same names since SDK 2.0; both lines of the SDK are tested for it.
 */
import {
  type EndedSpan,
  noiseLogRecordProcessor,
  noiseSpanProcessor,
  type SpanProcessorOf,
  type StartedSpan,
} from '../noise/adapters/otel.ts';
import { registeredProviders } from '../telemetry/providers.ts';
import { isObject } from '../core/values.ts';

/** Where a provider keeps its processors, from the provider inwards. */
const SPAN_PROCESSORS = ['_activeSpanProcessor', '_spanProcessors'];
const LOG_RECORD_PROCESSORS = ['_sharedState', 'activeProcessor', 'processors'];

/** Takes the ERROR off spans and log records that are noise. False when a provider of the SDK keeps its list elsewhere. */
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
