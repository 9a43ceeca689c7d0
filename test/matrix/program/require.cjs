// As a CommonJS app has it, with an SDK that it has set up itself and whose spans stay in memory.
const ended = [];
const { NodeSDK } = require('@opentelemetry/sdk-node');
const optional = (name) => {
  try {
    return require(name);
  } catch {
    return {};
  }
};
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { ExpressInstrumentation } = optional('@opentelemetry/instrumentation-express');
const { PgInstrumentation } = optional('@opentelemetry/instrumentation-pg');
new NodeSDK({
  instrumentations: [HttpInstrumentation, ExpressInstrumentation, PgInstrumentation]
    .filter((one) => one !== undefined)
    .map((Instrumentation) => new Instrumentation()),
  spanProcessors: [
    {
      onStart: () => undefined,
      onEnd: (span) => ended.push(span),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    },
  ],
}).start();

const express = require('express');
const { lastchunk } = require('lastchunk');
const { postgres } = require('lastchunk/postgres');
const { prometheus } = require('lastchunk/prometheus');
const pg = require('pg');
const { run } = require('./chat.mjs');

// As they would go over the wire, where the first kind is 1.
const spans = () =>
  ended.map((span) => ({
    traceId: span.spanContext().traceId,
    spanId: span.spanContext().spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? '',
    name: span.name,
    kind: span.kind + 1,
    status: span.status.code,
    attributes: span.attributes,
  }));
void run({ express, pg, lastchunk, postgres, prometheus, spans });
