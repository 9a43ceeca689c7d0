/**
 * An app with many guarded routes, and its metrics. Argument: how many. At `/same` prom-client alone renders the same lines, as gauges: what no
 * use of that library can go below.
 */
import express from 'express';
import { Gauge, Registry } from 'prom-client';
import { load } from '../built.ts';
import { given, serve } from '../child.ts';
import { CHUNK, DONE, FINISH } from '../frames.ts';

const { lastchunk } = await load(given.directory, 'index.js');
const { prometheus } = await load(given.directory, 'telemetry/prometheus.js');
const metrics = prometheus();
const store = { save: async () => {}, close: async () => {} };
const keep = lastchunk({ store, journal: given.journal, metrics });
const app = express();
for (let route = 0; route < Number(given.args[0]); route++) {
  app.get(`/route-${route}`, keep.guard(), (_req, res) => {
    res.setHeader('content-type', 'text/event-stream');
    res.write(CHUNK);
    res.write(FINISH);
    res.end(DONE);
  });
}
app.get('/metrics', metrics.handler());
const same = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
same.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
app.get('/same', async (_req, res) => {
  res.type(same.contentType).end(await same.metrics());
});
await serve(app, { copy });

/** Takes over the lines of `/metrics` as they are now; answers how many. */
async function copy(): Promise<number> {
  const lines = (await metrics.registry.metrics()).split('\n').flatMap((line) => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    return name === undefined ? [] : { name, labels: labelsIn(labels), value: Number(value) };
  });
  for (const name of new Set(lines.map((line) => line.name))) {
    const own = lines.filter((line) => line.name === name);
    const labelNames = [...new Set(own.flatMap(({ labels }) => Object.keys(labels)))];
    const gauge = new Gauge({ name, help: name, labelNames, registers: [same] });
    for (const { labels, value } of own) gauge.set(labels, value);
  }
  return lines.length;
}

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)/;

function labelsIn(text: string): Record<string, string> {
  const found = text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g);
  return Object.fromEntries(Array.from(found, ([, name = '', value = '']) => [name, value]));
}
