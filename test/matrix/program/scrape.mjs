// The same answer under two instances, each with another Prometheus client and a registry of its own. Prints both scrapes.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as successor from '@prometheus-io/client';
import express from 'express';
import { lastchunk } from 'lastchunk';
import { prometheus } from 'lastchunk/prometheus';
import * as promClient from 'prom-client';

const scrapes = {};
for (const [name, client] of [
  ['prom-client', promClient],
  ['@prometheus-io/client', successor],
]) {
  const metrics = prometheus({ client, registry: new client.Registry() });
  const store = { save: () => Promise.resolve(), close: () => Promise.resolve() };
  const keep = lastchunk({ store, journal: false, metrics, logger: false });
  const app = express();
  app.post('/chat', keep.guard(), (_req, res) => {
    res.type('text/event-stream').write('data: one\n\n');
    res.end('data: [DONE]\n\n');
  });
  app.get('/metrics', metrics.handler());
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  await (await fetch(`${url}/chat`, { method: 'POST' })).text();
  await keep.flush();
  // The stream has ended when the server knows it too.
  const ended = /^lastchunk_streams_ended_total\{[^}]*completed[^}]*\} 1$/m;
  while (!ended.test(scrapes[name] ?? '')) {
    scrapes[name] = await (await fetch(`${url}/metrics`)).text();
  }
  await keep.close();
  server.close();
  server.closeAllConnections();
}
const packages = JSON.parse(process.env.PACKAGES);
const versionOf = (name) =>
  JSON.parse(readFileSync(join(process.cwd(), 'node_modules', name, 'package.json'), 'utf8'))
    .version;
const versions = { node: process.versions.node };
for (const name of packages) versions[name] = versionOf(name);
process.stdout.write(JSON.stringify({ scrapes, versions }), () => process.exit(0));
