/**
 * `npm run demo`: the same chat handler with and without lastchunk, some hundred streams, what goes wrong
 * in production, and at the end one table. Exits with 0 only if the guarded route lost nothing, with 1 if it
 * did (or the demo broke), with 2 for wrong arguments.
 */
import { randomBytes } from 'node:crypto';
import { readArgs, USAGE, type Args } from './args.ts';
import { ROUTES } from './agreed.ts';
import { createReporter } from './progress.ts';
import { runDemo } from './run.ts';
import { startPlayground } from './playground.ts';
import { openWorld } from './world.ts';

const args = argsOrExit();
const run = `demo-${randomBytes(4).toString('hex')}`;
const report = createReporter(process.stdout, args.streams * ROUTES.length);
report.say(`lastchunk demo, --seed ${args.seed}`);

// Until there is a world to close, leaving is enough: everything started ends with this process.
let close = (): Promise<void> => Promise.resolve();
let leaving = false;
process.on('SIGINT', () => leave(130));
process.on('SIGTERM', () => leave(143));

try {
  report.stage('starting the database and the app');
  const world = await openWorld(run, args.log, fail);
  close = () => world.close();
  process.exitCode = (await runDemo(world, args, { run, report })) ? 0 : 1;
  if (args.serve) {
    const playground = await startPlayground(world, run);
    close = async () => {
      playground.close();
      await world.close();
    };
    report.say(invitation(world.app.url, playground.url));
  } else await close();
} catch (error) {
  fail(error);
}

/** Says what broke, unless it broke because we are leaving. */
function fail(error: unknown): void {
  if (leaving) return;
  report.say(`lastchunk demo: ${error instanceof Error ? error.stack : String(error)}`);
  process.exitCode = 1;
  leave(1);
}

/** Ends the process with its verdict if there is one, else with `code`. Twice: at once. */
function leave(code: number): void {
  const end = (): void => process.exit(process.exitCode ?? code);
  if (leaving) return end();
  leaving = true;
  close().then(end, end);
}

function argsOrExit(): Args {
  try {
    const read = readArgs(process.argv.slice(2));
    if (!read.help) return read;
    process.stdout.write(USAGE);
    return process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return process.exit(2);
  }
}

function invitation(url: string, playground: string): string {
  return [
    `Break it by hand, until Ctrl-C: ${playground}`,
    `What the app knows of itself:   ${playground}/status`,
    '',
    'The app:',
    `  curl ${url}/metrics`,
    `  curl ${url}/health/saves`,
    `  curl -N ${url}/guarded/mine -H 'content-type: application/json' -d '{"prompt":"Say this again."}'`,
    `  curl ${url}/guarded/mine`,
  ].join('\n');
}
