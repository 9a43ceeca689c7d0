/** Tools of others that trace and report errors, and what has to be done so that they and lastchunk work beside each other. */

/** One of them. */
export interface Tool {
  /** Its name in `program/beside/tools.cjs`. */
  readonly key: string;
  /** With the major version. */
  readonly name: string;
  /** What one has to do or to know, as Markdown, for docs/opentelemetry.md. */
  readonly says: string;
  /** Its spans of requests stand above those of streams. */
  readonly tracesRequests: boolean;
  /** `streams`: it exports those of streams alone. */
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
    says: '`new tracer.TracerProvider().register()` takes the spans of lastchunk into its traces. Set `DD_TRACE_MIDDLEWARE_TRACING_ENABLED=false`: an error handler that runs when the response is over has a span that nobody ends, and without its end dd-trace does not send the trace.',
    tracesRequests: true,
    exports: 'all',
    reportsErrors: false,
    env: { DD_TRACE_MIDDLEWARE_TRACING_ENABLED: 'false' },
  },
  {
    key: 'sentry-10',
    name: 'Sentry 10',
    says: 'Takes the spans as it is. `keep.errorHandler()` before `Sentry.setupExpressErrorHandler(app)` keeps noise from it.',
    tracesRequests: true,
    exports: 'all',
    reportsErrors: true,
  },
  {
    key: 'sentry-11',
    name: 'Sentry 11',
    says: '`Sentry.init({ enableOpenTelemetrySetup: true })`, else no span of lastchunk arrives. It sees errors before any error handler: `Sentry.addEventProcessor((event, { originalException }) => (keep.classify(originalException).noise ? null : event))` keeps noise from it, after one `keep.classify(undefined)` at the start, from which on lastchunk knows streams without their response.',
    tracesRequests: true,
    exports: 'all',
    reportsErrors: true,
  },
  {
    key: 'langfuse',
    name: 'Langfuse 5',
    says: 'Exports spans about models alone. `conversationIdInSpans: true` makes those of streams such spans; `shouldExportSpan: () => true` takes all.',
    tracesRequests: false,
    exports: 'streams',
    reportsErrors: false,
  },
  {
    key: 'traceloop',
    name: 'Traceloop 0.27',
    says: 'Takes the spans as it is. It traces no requests: those of streams are roots.',
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
