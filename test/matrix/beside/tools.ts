/** Other tools that trace and report errors, and what an app has to do to use each together with lastchunk. */

/** One of them. */
export interface Tool {
  /** Its name in `program/beside/tools.cjs`. */
  readonly key: string;
  /** With the major version. */
  readonly name: string;
  /** What a user of the tool has to do or to know, as Markdown, for docs/opentelemetry.md. */
  readonly says: string;
  /** Its spans of requests are the parents of the spans of streams. */
  readonly tracesRequests: boolean;
  /** `streams`: it exports only the spans of streams. */
  readonly exports: 'all' | 'streams';
  /** It reports errors of handlers. */
  readonly reportsErrors: boolean;
  /** Added to the environment of the app. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One set for all, and an API that all of them take. */
export const TOOL_PACKAGES = [
  '@opentelemetry/api@1.9.1',
  'express@5.3.0',
  'pg@8.23.1',
  'dd-trace@5.132.0',
  'sentry-10@npm:@sentry/node@10.78.0',
  '@sentry/node@11.12.0',
  '@langfuse/otel@5.11.1',
  '@opentelemetry/sdk-node@0.223.0',
  '@traceloop/node-server-sdk@0.27.0',
  '@opentelemetry/auto-instrumentations-node@0.81.2',
  // Reads what dd-trace sends to its agent.
  '@msgpack/msgpack@3.1.2',
];

/** Where dd-trace and Sentry 10 cannot share the app's copy of the API. */
export const NEWER_API_PACKAGES = [
  '@opentelemetry/api@1.10.0',
  'express@5.3.0',
  'pg@8.23.1',
  'dd-trace@5.132.0',
  '@sentry/node@10.78.0',
];

/** In the order of the page. */
export const TOOLS: readonly Tool[] = [
  {
    key: 'dd-trace',
    name: 'dd-trace 5',
    says: '`new tracer.TracerProvider().register()` adds the spans of lastchunk to its traces. Set `DD_TRACE_MIDDLEWARE_TRACING_ENABLED=false`: otherwise the span of an error handler that runs after the end of the response is never ended, and dd-trace does not send the trace.',
    tracesRequests: true,
    exports: 'all',
    reportsErrors: false,
    env: { DD_TRACE_MIDDLEWARE_TRACING_ENABLED: 'false' },
  },
  {
    key: 'sentry-10',
    name: 'Sentry 10',
    says: 'Exports the spans without further settings. `keep.errorHandler()` before `Sentry.setupExpressErrorHandler(app)` keeps noise out of its reports.',
    tracesRequests: true,
    exports: 'all',
    reportsErrors: true,
  },
  {
    key: 'sentry-11',
    name: 'Sentry 11',
    says: '`Sentry.init({ enableOpenTelemetrySetup: true })`, otherwise no span of lastchunk arrives. It gets errors before any error handler does: `Sentry.addEventProcessor((event, { originalException }) => (keep.classify(originalException).noise ? null : event))` keeps noise out of its reports. Call `keep.classify(undefined)` once at the start: from then on lastchunk finds the stream of an error without its response.',
    tracesRequests: true,
    exports: 'all',
    reportsErrors: true,
  },
  {
    key: 'langfuse',
    name: 'Langfuse 5',
    says: 'Exports only spans about models. With `conversationIdInSpans: true` the spans of streams are such spans; with `shouldExportSpan: () => true` it exports all.',
    tracesRequests: false,
    exports: 'streams',
    reportsErrors: false,
  },
  {
    key: 'traceloop',
    name: 'Traceloop 0.27',
    says: 'Exports the spans without further settings. It traces no requests, so the spans of streams are roots.',
    tracesRequests: false,
    exports: 'all',
    reportsErrors: false,
  },
  {
    key: 'auto-instrumentations',
    name: 'auto-instrumentations-node 0.81',
    says: '`new NodeSDK({ instrumentations: [getNodeAutoInstrumentations()] }).start()`. Its own `register` shuts the SDK down at SIGTERM at once: spans of streams that end while the app closes are not sent.',
    tracesRequests: true,
    exports: 'all',
    reportsErrors: false,
  },
];

/** The table of docs/opentelemetry.md. */
export function toolsTable(): string {
  const rows = TOOLS.map(({ name, says }) => `| ${name} | ${says} |`);
  return ['<!-- prettier-ignore -->', '| tool | what to do |', '| --- | --- |', ...rows].join('\n');
}
