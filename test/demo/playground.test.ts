/** The playground of the demo in a browser: each button breaks what it says, and what was seen is kept. */
import { request } from 'node:http';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Playground, startPlayground } from '../../demo/playground.ts';
import { type OpenWorld, openWorld } from '../../demo/world.ts';
import { findChromium, startChromium } from '../browser/program.ts';

const path = findChromium();
const inCi = process.env['CI'] === 'true';
if (path === undefined && !inCi) console.log('skipped: the playground, which needs Chromium');

describe.skipIf(path === undefined && !inCi)('the playground', () => {
  let world: OpenWorld;
  let playground: Playground;
  let chromium: Awaited<ReturnType<typeof startChromium>>;
  let page: Page;
  const crashes: Error[] = [];

  beforeAll(async () => {
    if (path === undefined) throw new Error('Chromium is not installed');
    world = await openWorld('playground-test', undefined, (error) => void crashes.push(error));
    playground = await startPlayground(world, 'playground-test');
    chromium = await startChromium(path);
  }, 60_000);
  afterAll(async () => {
    await chromium.close();
    playground.close();
    await world.close();
  });
  beforeEach(async () => {
    page = await chromium.context.newPage();
    await page.goto(playground.url);
  });
  afterEach(() => page.close());

  const click = (name: string): Promise<void> => page.getByRole('button', { name }).click();
  /** Sends, and waits until some of the answer is there. */
  const send = async (): Promise<void> => {
    await click('Send');
    await page.locator('#seen', { hasText: 'has it. If a client saw it' }).waitFor();
  };
  const expectKept = async (): Promise<void> => {
    await page.getByText('Kept: all that you saw.').waitFor({ timeout: 30_000 });
    const [seen, kept] = await Promise.all([
      page.locator('#seen').textContent(),
      page.locator('#kept').textContent(),
    ]);
    expect(seen).toContain('If a client saw it');
    expect(kept?.startsWith(seen ?? '-')).toBe(true);
  };

  it('stores a whole answer', async () => {
    await send();
    await page.getByText('The answer is over.').waitFor();
    await expectKept();
  }, 60_000);

  it('stores what a client that leaves has seen, and the rest', async () => {
    await send();
    await click('Leave');
    await expectKept();
    await page.locator('#kept', { hasText: /(?:If a client.*){12}/ }).waitFor();
  }, 60_000);

  it('stops an answer, and stores what was seen', async () => {
    await send();
    await click('Stop');
    await page.getByText('Outcome: stopped. The message: saved.').waitFor();
    await expectKept();
  }, 60_000);

  it('stores what was seen when the connections of the database are killed', async () => {
    await send();
    await click("Kill the database's connections");
    await page.getByText("Done: Kill the database's connections.").waitFor();
    await expectKept();
  }, 60_000);

  it('stores what was seen when the app is killed, and the page continues with the next app', async () => {
    await send();
    await click('Kill the app');
    await page
      .getByText(/^The answer broke off/)
      .or(page.getByText('Done: Kill the app.'))
      .first()
      .waitFor();
    await expectKept();
    await send();
  }, 60_000);

  it('stores what was seen while the database is unavailable', async () => {
    await send();
    await click('Take the database away');
    await page.getByText('The database cannot be asked now.').waitFor();
    await click('Bring the database back');
    await expectKept();
  }, 60_000);

  it('links to the status page of the app', async () => {
    await page.goto(`${playground.url}/status`);
    await page
      .getByRole('status')
      .filter({ hasText: /Healthy|Degraded/ })
      .waitFor();
    const before = await page.locator('#connection').textContent();
    await expect.poll(() => page.locator('#connection').textContent()).not.toBe(before);
  }, 60_000);

  it.each([
    ['a request for another host name', 'GET', { host: 'evil.example' }],
    ['a page of another origin', 'POST', { origin: 'http://evil.example' }],
    ['a form without an origin', 'POST', {}],
  ])('answers 403 to %s', async (_, method, headers) => {
    const status = await new Promise((resolve, reject) => {
      request(`${playground.url}/break/app`, { method, headers }, (reply) => {
        reply.resume();
        resolve(reply.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });

  it('runs an app that crashes only by the button', () => {
    expect(crashes).toEqual([]);
  });
});
