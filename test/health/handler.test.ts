import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHealthHandler, type Health } from '../../src/health/health.ts';
import { HealthMonitor } from '../../src/health/monitor.ts';

let health: Health;
let url = '';
const server = createServer(createHealthHandler(() => health));

beforeEach(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // The server listens on a port, not on a path.
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('the health handler', () => {
  it.each([
    ['healthy', 200],
    ['degraded', 200],
    ['failing', 503],
  ] as const)('answers %s with %i', async (status, code) => {
    health = { ...new HealthMonitor().health(), status };
    const response = await fetch(url);
    expect(response.status).toBe(code);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toMatchObject({ status, reasons: [], pending: 0 });
  });
});
