import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
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

describe('details', () => {
  const ask = (given: Parameters<typeof createHealthHandler>[1], url: string): unknown => {
    let body = '';
    health = new HealthMonitor().health();
    const handler = createHealthHandler(() => health, given);
    const res = { setHeader: () => undefined, end: (text: string) => void (body = text) };
    // Only what the handler uses of a request and a response.
    handler({ url } as IncomingMessage, res as unknown as ServerResponse);
    return JSON.parse(body) as unknown;
  };

  it('are left out if the option is false or its function returns false', () => {
    const details = (req: IncomingMessage): boolean => req.url === '/internal';
    expect(ask({ details: false }, '/')).toEqual({ status: 'healthy' });
    expect(ask({ details }, '/')).toEqual({ status: 'healthy' });
    expect(ask({ details }, '/internal')).toMatchObject({ reasons: [] });
  });

  it('are left out when the function throws', () => {
    const details = (): boolean => {
      throw new Error('no session');
    };
    expect(ask({ details }, '/')).toEqual({ status: 'healthy' });
  });

  it('must be a boolean or a function', () => {
    // untrue on purpose: called from JavaScript
    const wrong = { details: 'yes' } as unknown as { details: boolean };
    expect(() => createHealthHandler(() => health, wrong)).toThrow(
      /`details` must be true, false or a function/,
    );
  });
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
