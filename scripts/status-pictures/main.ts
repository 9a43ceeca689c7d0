/**
 * Pictures of the status page in docs/pictures: a real app over a real PostgreSQL, before, while and after the database is away.
 *
 *     npx tsx scripts/status-pictures/main.ts [MINUTES]
 *
 * It needs `chromium` in `PATH` and takes MINUTES (default 30) and four more: so much of the hour is in the pictures.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BrowserContext } from 'playwright-core';
import { findChromium, startChromium } from '../../test/browser/program.ts';
import { startPostgres } from '../../test/support/postgres.ts';
import { startApp } from './app.ts';

const MINUTE_MS = 60_000;
/** How long the database is away. */
const awayMs = 2 * MINUTE_MS;
const PER_SECOND = 1.5;
const DESK = { width: 1_100, height: 960 };
const PHONE = { width: 390, height: 844 };

const target = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const healthyMs = Number(process.argv[2] ?? 30) * MINUTE_MS;
const program = findChromium();
if (program === undefined) throw new Error('there is no Chromium in PATH');

const database = await startPostgres();
const app = await startApp(database.connectionString, PER_SECOND);
const { context, close } = await startChromium(program);
try {
  await sleep(healthyMs);
  await shoot(context, 'status-healthy', { size: DESK, scheme: 'light' });
  await database.stop();
  await sleep(awayMs);
  await shoot(context, 'status-away', { size: DESK, scheme: 'light' });
  await shoot(context, 'status-phone', { size: PHONE, scheme: 'dark' });
  await database.start();
  await sleep(1.5 * MINUTE_MS);
  await shoot(context, 'status-after', { size: DESK, scheme: 'dark' });
} finally {
  await close();
  await app.close();
  await database.remove();
}

async function shoot(
  browser: BrowserContext,
  name: string,
  look: { readonly size: typeof DESK; readonly scheme: 'light' | 'dark' },
): Promise<void> {
  const page = await browser.newPage();
  await page.setViewportSize(look.size);
  await page.emulateMedia({ colorScheme: look.scheme });
  await page.goto(app.url);
  // The second state comes by an event, a second later.
  await sleep(3_000);
  const path = `${target}${name}.png`;
  await page.screenshot({ path, fullPage: name === 'status-away' });
  console.log(path);
  await page.close();
}
