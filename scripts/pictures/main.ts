/**
 * Pictures of both dashboards in docs/pictures while something is broken, one live run for each fault of scenes.ts:
 * PostgreSQL, the demo's app with visitors and a Prometheus with our rules, sixty times faster. README.md in this folder
 * says how to run it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BrowserContext } from 'playwright-core';
import { findChromium, startChromium } from '../../test/browser/program.ts';
import { panelsOf, readDashboards, type Dashboard } from '../../test/slo/dashboards/files.ts';
import type { Live } from '../../test/slo/dashboards/live.ts';
import { fillIn } from '../../test/slo/dashboards/promql.ts';
import { observeOutage, pictureOf, type Picture } from './outage.ts';
import { SCENES, type Scene } from './scenes.ts';

const HEALTHY_MS = 120_000;
/** So long that what Prometheus calls three quarters of an hour are over. */
const BROKEN_MS = 45_000;
/** What the pictures show of it, up to the end. */
const SHOWN_SECONDS = 150;
const VALUES = { $__rate_interval: '10s', $__range: `${SHOWN_SECONDS}s`, $__interval: '1s' };
const WIDTH = 1_280;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

const here = fileURLToPath(new URL('.', import.meta.url));
const target = fileURLToPath(new URL('../../docs/pictures', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'lastchunk-pictures-'));
const [workshop = join(scratch, 'workshop'), ...only] = process.argv.slice(2);
const packed = join(scratch, 'packed');
pack();
const wanted = (name: string): boolean => only.length === 0 || only.includes(name);
for (const [name, start] of Object.entries(SCENES)) {
  if (wanted(name)) await draw(await feed(name, await start()));
}
if (wanted('outage')) await draw([pictureOf(await observeOutage())]);
rmSync(scratch, { recursive: true, force: true });

/** The page with Grafana's components. Made elsewhere, so that nothing here meets half a gigabyte of packages. */
function pack(): void {
  cpSync(here, workshop, { recursive: true });
  const run = (program: string, ...args: string[]): void => {
    const { status } = spawnSync(program, args, { cwd: workshop, stdio: 'inherit' });
    if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}`);
  };
  run('npm', 'install', '--no-audit', '--no-fund', '--no-package-lock');
  run('npx', 'vite', 'build', '--outDir', packed, '--emptyOutDir');
}

/** Breaks what the scene breaks, and asks for every panel meanwhile. */
async function feed(scene: string, { live, breakIt, close }: Scene): Promise<Picture[]> {
  try {
    await sleep(HEALTHY_MS);
    await breakIt();
    await sleep(BROKEN_MS);
    const to = Date.now();
    return await Promise.all(
      readDashboards().map(async ({ dashboard }) => ({
        name: `${dashboard.uid.replace('lastchunk-', '')}-${scene}`,
        dashboard,
        answers: Object.fromEntries(await answersOf(dashboard, live)),
        from: to - SHOWN_SECONDS * 1_000,
        to,
        width: WIDTH,
      })),
    );
  } finally {
    await close();
  }
}

function answersOf(dashboard: Dashboard, live: Live): Promise<[string, unknown][]> {
  return Promise.all(
    panelsOf(dashboard).map(async ({ id, targets }): Promise<[string, unknown]> => {
      const answers = targets.map(async ({ refId, expr, legendFormat: legend, instant }) => {
        const query = fillIn(expr, VALUES);
        const result = instant === true ? live.query(query) : live.queryRange(query, SHOWN_SECONDS);
        return { refId, legend, result: await result };
      });
      return [String(id), await Promise.all(answers)];
    }),
  );
}

async function draw(all: readonly Picture[]): Promise<void> {
  const program = findChromium();
  if (program === undefined) throw new Error('there is no Chromium in PATH');
  mkdirSync(target, { recursive: true });
  const site = await serve();
  const { context, close } = await startChromium(program);
  try {
    for (const picture of all) await shoot(context, site.url, picture);
  } finally {
    await close();
    site.close();
  }
}

async function shoot(context: BrowserContext, url: string, picture: Picture): Promise<void> {
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error(`${picture.name}:`, error));
  await page.setViewportSize({ width: WIDTH, height: 1_000 });
  await page.addInitScript(`window.picture = ${JSON.stringify(picture)}`);
  await page.goto(url);
  await page.locator('#dashboard [data-panel]').first().waitFor();
  // Plots are drawn after their panel is there, and nothing tells when.
  await sleep(5_000);
  const path = join(target, `${picture.name}.png`);
  await page.locator('#dashboard').screenshot({ path });
  console.log(path);
  await page.close();
}

/** The packed page, and Grafana's icons where its components look for them. */
async function serve(): Promise<{ readonly url: string; close(): void }> {
  const icons = join(workshop, 'node_modules/@grafana/ui/dist/public');
  const server = createServer((req, res) => {
    const { pathname } = new URL(req.url ?? '/', 'http://localhost');
    const path = pathname.startsWith('/public/build/')
      ? join(icons, normalize(pathname.slice('/public/build'.length)))
      : join(packed, normalize(pathname === '/' ? '/index.html' : pathname));
    const type = TYPES[extname(path)];
    if (type === undefined || !existsSync(path)) return res.writeHead(404).end();
    return res.writeHead(200, { 'content-type': type }).end(readFileSync(path));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, close: () => void server.close() };
}
