/** An OpenTelemetry collector that takes everything and looks at nothing. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A running receiver. */
export interface Receiver {
  /** For the SDK of a server: exports to here, traces only. */
  readonly env: Readonly<Record<string, string>>;
  /** Bytes of traces so far. */
  readonly bytes: number;
  close(): void;
}

/** Starts a receiver on a free port. */
export async function startReceiver(): Promise<Receiver> {
  let bytes = 0;
  const server = createServer((req, res) => {
    req.on('data', (data: Buffer) => (bytes += data.length));
    req.on('end', () => res.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Listening on an address, so it is not the path of a pipe.
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
      // Spans of a short run leave before its server does.
      OTEL_BSP_SCHEDULE_DELAY: '1000',
    },
    get bytes() {
      return bytes;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
