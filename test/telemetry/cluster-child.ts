/**
 * A cluster of workers with lastchunk in each: the primary forks one for each duty that it is given, and prints the
 * metrics of all of them together. Run by cluster.test.ts.
 */
import cluster from 'node:cluster';
import { once } from 'node:events';
import * as promClient from 'prom-client';
import type { JournalState } from '../../src/journal/port.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { createRecorder } from '../../src/telemetry/recorder.ts';
import { aSave, aStream } from './facts.ts';

/** What a worker has to show. */
export interface Duty {
  /** Epoch milliseconds; 0 for none. */
  readonly oldestEntryMs: number;
  readonly saves: number;
  readonly degraded: boolean;
}

const AGGREGATOR = new promClient.AggregatorRegistry();

if (cluster.isPrimary) {
  // The metrics are made in the primary too, as in an app that has one file for both.
  prometheus({ client: promClient, registry: promClient.register });
  // The test passes this, and nobody else starts this file.
  const duties = JSON.parse(process.argv[2] ?? '[]') as Duty[];
  const workers = duties.map((duty) => cluster.fork({ DUTY: JSON.stringify(duty) }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  process.stdout.write(await AGGREGATOR.clusterMetrics());
  for (const worker of workers) worker.kill();
} else {
  work(JSON.parse(process.env['DUTY'] ?? '{}') as Duty);
  process.send?.('ready');
}

function work({ oldestEntryMs, saves, degraded }: Duty): void {
  const registry = new promClient.Registry();
  const metrics = prometheus({ client: promClient, registry });
  promClient.AggregatorRegistry.setRegistries(registry);
  const journal: JournalState = {
    entries: 1,
    bytes: 100,
    capacityBytes: 1000,
    oldestEntryMs,
    degraded: degraded ? 'full' : undefined,
    corruptRecords: 0,
    fileSystem: 'disk',
    ephemeral: false,
  };
  const recorder = createRecorder([metrics.sink], { journal: () => journal });
  for (let count = 0; count < saves; count += 1) {
    const stream = aStream();
    recorder.onDue?.(stream);
    recorder.onSave?.(aSave(stream));
  }
}
