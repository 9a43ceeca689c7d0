// Each tool started as its documentation says, before anything else is loaded. COLLECTOR stands for the services of all of
// them. Exports what the app has to do for it: `use` gets lastchunk's instance and the app, behind every route; `end` is
// called last.
const { env } = process;

const TOOLS = {
  'dd-trace': () => {
    const tracer = require('dd-trace').init({ startupLogs: false });
    new tracer.TracerProvider().register();
    return {};
  },
  'sentry-10': () => sentry(require('sentry-10'), {}),
  'sentry-11': () => sentry(require('@sentry/node'), { enableOpenTelemetrySetup: true }),
  langfuse: () => {
    const { NodeSDK } = require('@opentelemetry/sdk-node');
    const { LangfuseSpanProcessor } = require('@langfuse/otel');
    new NodeSDK({ spanProcessors: [new LangfuseSpanProcessor()] }).start();
    return {};
  },
  traceloop: () => {
    require('@traceloop/node-server-sdk').initialize({
      baseUrl: env.COLLECTOR,
      apiKey: 'none',
      traceloopSyncEnabled: false,
      silenceInitializationMessage: true,
    });
    return {};
  },
  'auto-instrumentations': () => {
    const { NodeSDK } = require('@opentelemetry/sdk-node');
    const { getNodeAutoInstrumentations } = require('@opentelemetry/auto-instrumentations-node');
    new NodeSDK({ instrumentations: [getNodeAutoInstrumentations()] }).start();
    return {};
  },
};

function sentry(Sentry, options) {
  const dsn = `${env.COLLECTOR.replace('://', '://key@')}/1`;
  Sentry.init({ dsn, tracesSampleRate: 1, ...options });
  return {
    use: (keep, app) => {
      // From now on streams are known to whoever has no response.
      keep.classify(undefined);
      Sentry.addEventProcessor((event, { originalException }) =>
        keep.classify(originalException).noise ? null : event,
      );
      Sentry.setupExpressErrorHandler(app);
    },
    end: () => Sentry.close(),
  };
}

module.exports = TOOLS[process.argv[2]]();
