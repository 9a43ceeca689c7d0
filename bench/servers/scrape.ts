/** An app with many guarded routes, and its metrics. Argument: how many. */
import express from 'express';
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
await serve(app);
