/** Health over HTTP. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Health } from './health.ts';

/**
 * An Express or Node handler that answers with the health as JSON: 200 while messages are safe (`healthy` and
 * `degraded`), 503 when `failing`. Degraded is not 503: taking every replica out of service because the
 * database is away would turn a delay into an outage.
 */
export function createHealthHandler(
  health: () => Health,
): (req: IncomingMessage, res: ServerResponse) => void {
  return (_req, res) => {
    const now = health();
    res.statusCode = now.status === 'failing' ? 503 : 200;
    res.setHeader('Content-Type', 'application/json; charset=utf-8');
    res.setHeader('Cache-Control', 'no-store');
    res.end(`${JSON.stringify(now)}\n`);
  };
}
