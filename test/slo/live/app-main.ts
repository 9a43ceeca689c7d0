/**
 * The service that is watched: one guarded chat route, a generator in the place of a model, metrics. On the message
 * `{ silence: true }` its save code stops working behind the back of everything that counts: nothing is written any
 * more, and none of the numbers of saves moves. On `{ relayMs: 8_000 }` each exchange with its relay takes so long.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type Request } from 'express';
import { lastchunk, type MessageStore, type Relay } from '../../../src/index.ts';
import { postgres, postgresRelay } from '../../../src/postgres/index.ts';
import { METRICS } from '../../../src/core/names/index.ts';
import { prometheus } from '../../../src/telemetry/prometheus.ts';
import type { SeriesReading, Sink } from '../../../src/telemetry/metric-registry.ts';
import { chatChunk } from '../../support/frames.ts';
import type { Ask } from './traffic.ts';

const { DATABASE_URL: connectionString, JOURNAL: path = '', JOURNAL_BYTES, RELAY } = process.env;

let silent = false;
let relayMs = 0;
process.on('message', (message: { silence?: true; relayMs?: number }) => {
  silent ||= message.silence === true;
  relayMs = message.relayMs ?? relayMs;
});

const database = postgres({ connectionString, migrate: true });
const store: MessageStore = {
  save: async (messages) => (silent ? undefined : database.save(messages)),
  close: () => database.close(),
};
const metrics = prometheus();
const keep = lastchunk({
  store,
  journal: { path, maxBytes: Number(JOURNAL_BYTES), ephemeral: true },
  ...(RELAY !== undefined && { relay: slowed(postgresRelay({ connectionString, migrate: true })) }),
  metrics: { ...metrics, sink: stillWhenSilent(metrics.sink) },
  logger: { debug: ignore, info: ignore, warn: print, error: print },
});

const app = express();
app.use(express.json({ limit: '8mb' }));
const message = (req: Request<{ id: string }>) => ({ conversationId: req.params.id });
app.post('/chat/:id', keep.guard({ message }), async (req, res) => {
  // Only our own clients ask.
  const { tokens, size, gapMs, lingerMs } = req.body as Ask;
  res.type('text/event-stream');
  for (let token = 0; token < tokens; token += 1) {
    res.write(chatChunk({ content: 'word '.repeat(size) }));
    await sleep(gapMs);
  }
  await sleep(lingerMs);
  res.write(chatChunk({}, 'stop'));
  res.end('data: [DONE]\n\n');
});
app.get('/metrics', metrics.handler());
app.use(keep.errorHandler());

const server = app.listen(0, '127.0.0.1', () => {
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  process.send?.({ address: `127.0.0.1:${port}` });
});
// Without the suite there is nobody to serve.
process.once('disconnect', () => process.exit(0));

/** The same relay, whose exchanges work, and take as long as the suite says. */
function slowed(relay: Relay): Relay {
  const exchange = relay.exchange.bind(relay);
  relay.exchange = async (batch) => {
    await sleep(relayMs);
    return exchange(batch);
  };
  return relay;
}

/** Hands everything on; once silent, the numbers of saves stay what they were. */
function stillWhenSilent(sink: Sink): Sink {
  const still = new Map<string, SeriesReading>();
  const keys: readonly unknown[] = [
    METRICS.saves,
    METRICS.savesExpected,
    METRICS.savesPending,
    METRICS.savesSkipped,
  ];
  return {
    ...sink,
    attach: (read) =>
      sink.attach(() =>
        Array.from(read(), (reading) => {
          if (!keys.includes(reading.metric)) return reading;
          // A copy: whoever counts goes on counting in its own.
          if (!silent) still.set(reading.key, { ...reading });
          return still.get(reading.key) ?? reading;
        }),
      ),
    observe: (metric, ...rest) => {
      if (!silent || metric !== METRICS.saveDuration) sink.observe(metric, ...rest);
    },
  };
}

function print(fields: object, text: string): void {
  console.error(text, fields);
}

function ignore(): void {
  // Of no interest after the fact.
}
