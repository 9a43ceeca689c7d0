/** `lastchunk probe` against real apps: what it calls lost is lost, and it leaves in the ways it says it does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type RequestHandler } from 'express';
import OpenAI from 'openai';
import pg from 'pg';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createApp } from '../../../demo/app.ts';
import { startUpstream } from '../../../demo/upstream.ts';
import { lastchunk } from '../../../src/index.ts';
import { postgres } from '../../../src/postgres/index.ts';
import { prometheus } from '../../../src/telemetry/prometheus.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { parseScrape } from '../../support/scrape.ts';
import { serve, type TestServer } from '../../support/test-server.ts';
import { soon, until } from '../../support/until.ts';
import { runCommand } from '../run-command.ts';

const PROMPT = 'say these seven words to me now';

/** Runs the command; `env` holds nothing else. */
const probe = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runCommand(['probe', ...argv], env);

/** The report's table: results by way. */
function counts(stdout: string): Record<string, Record<string, number>> {
  const [head = '', ...rows] = stdout.split('\n');
  const [, , ...names] = head.toLowerCase().split(/ +/);
  return Object.fromEntries(
    rows
      .filter((row) => /^[a-z-]+ +\d/.test(row))
      .map((row) => {
        const [way, , ...cells] = row.split(/ +/);
        const counted = names.map((name, index): [string, number] => [name, Number(cells[index])]);
        return [way, Object.fromEntries(counted.filter(([, count]) => count > 0))];
      }),
  );
}

const ALL_KEPT = {
  close: { kept: 1 },
  reset: { kept: 1 },
  'stop-reading': { kept: 1 },
  'last-frame': { kept: 1 },
  complete: { kept: 1 },
  gzip: { kept: 1 },
};

describe('against the app of the demo', () => {
  let database: TestPostgres;
  beforeAll(async () => {
    database = await startPostgres();
  });
  afterAll(() => database.remove());

  async function serveDemo(): Promise<{
    testServer: TestServer;
    connectionString: string;
    client: pg.Client;
  }> {
    const connectionString = await database.newDatabase();
    const upstream = await startUpstream();
    const pool = new pg.Pool({ connectionString });
    await pool.query(
      'create table lastchunk_demo_answers (conversation_id text not null, text text not null)',
    );
    const store = postgres({ connectionString, migrate: true });
    await store.migrate();
    const metrics = prometheus({ registry: new Registry() });
    const keep = lastchunk({ store, journal: false, metrics });
    const openai = new OpenAI({ baseURL: upstream.url, apiKey: 'none' });
    const testServer = await serve(createApp({ openai, model: 'demo', pool, keep, metrics }));
    const client = new pg.Client({ connectionString });
    await client.connect();
    onTestFinished(async () => {
      await client.end();
      upstream.close();
      await keep.close({ deadlineMs: 2000 });
      await pool.end();
    });
    return { testServer, connectionString, client };
  }

  const asking = (url: string): string[] => {
    const quick = ['--stall', '0', '--wait', '20'];
    return [url, '--body', JSON.stringify({ prompt: PROMPT }), ...quick];
  };

  it('loses nothing on the guarded route, by the history and by the table', async () => {
    const { testServer, connectionString } = await serveDemo();
    const url = `${testServer.url}/guarded/{id}`;
    const byHistory = await probe([...asking(url), '--history', url]);
    expect(byHistory).toMatchObject({ exitCode: 0, stderr: '' });
    expect(counts(byHistory.stdout)).toEqual(ALL_KEPT);
    const byTable = await probe(asking(url), { DATABASE_URL: connectionString });
    expect(byTable).toMatchObject({ exitCode: 0, stderr: '' });
    expect(counts(byTable.stdout)).toEqual(ALL_KEPT);
    const { hostname, port, username, pathname } = new URL(connectionString);
    const parts = {
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: username,
      PGDATABASE: pathname.slice(1),
    };
    const byParts = await probe([...asking(url), '--ways', 'close'], parts);
    expect(counts(byParts.stdout)).toEqual({ close: { kept: 1 } });
  });

  it('shows what the naive route loses while its table cannot be written', async () => {
    const { testServer, connectionString, client } = await serveDemo();
    const url = `${testServer.url}/naive/{id}`;
    const sql = 'select text from lastchunk_demo_answers where conversation_id = {id}';
    const where = ['--database-url', connectionString, '--sql', sql];
    // Inserts wait, reads do not.
    await client.query('begin');
    await client.query('lock table lastchunk_demo_answers in exclusive mode');
    const ways = ['--ways', 'close,last-frame', '--wait', '1'];
    const lost = await probe([...asking(url), ...where, ...ways]);
    expect(lost.exitCode).toBe(1);
    expect(counts(lost.stdout)).toEqual({ close: { lost: 1 }, 'last-frame': { lost: 1 } });
    expect(lost.stdout).toMatch(
      new RegExp(
        `lost: last-frame: ${PROMPT.length} characters seen, 0 of them kept; no X-Stream-Id`,
      ),
    );
    // While the guarded one, beside it in the same process, has it when its last frame arrives.
    const last = ['--ways', 'last-frame'];
    const guarded = await probe([...asking(`${testServer.url}/guarded/{id}`), ...last], {
      DATABASE_URL: connectionString,
    });
    expect(counts(guarded.stdout)).toEqual({ 'last-frame': { kept: 1 } });
    await client.query('rollback');
    const kept = await probe([...asking(url), ...where, '--ways', 'close,reset']);
    expect(counts(kept.stdout)).toEqual({ close: { kept: 1 }, reset: { kept: 1 } });
    expect(lost.stdout + kept.stdout + guarded.stdout).not.toContain('seven');
  });
});

/** An app that keeps what its handler gives to `keep`, and serves it as a chat's history. */
async function serveOwn(
  handler: (
    keep: (text: string) => void,
    ...args: Parameters<RequestHandler<{ id: string }>>
  ) => unknown,
  transport: 'http' | 'https' = 'http',
) {
  const kept = new Map<string, string>();
  const asked: string[] = [];
  const app = express();
  app.use(express.json());
  app.post('/chat/:id', (req, res, next) =>
    handler((text) => void kept.set(req.params.id, text), req, res, next),
  );
  app.get('/chat/:id', (req, res) => {
    asked.push(req.params.id);
    const content = kept.get(req.params.id);
    const answer = content === undefined ? [] : [{ role: 'assistant', parts: [{ content }] }];
    res.json({ messages: [{ role: 'user', content: 'one two three' }, ...answer] });
  });
  const testServer = await serve(app, transport);
  const url = `${testServer.url}/chat/{id}`;
  const argv = [url, '--method', 'POST', '--history', url, '--wait', '1', '--stall', '0'];
  return { testServer, kept, asked, argv };
}

describe('an app', () => {
  it('that saves at the end of a handler which stops when its client leaves loses what was seen', async () => {
    const { argv } = await serveOwn(async (keep, _req, res) => {
      res.type('text/plain');
      let said = '';
      for (let count = 0; count < 20 && !res.destroyed; count += 1) {
        said += 'one ';
        res.write('one ');
        await sleep(10);
      }
      if (res.destroyed) return;
      keep(said);
      res.end();
    });
    const { exitCode, stdout } = await probe(argv);
    expect(exitCode).toBe(1);
    // What its history says of the user is no answer, although it reads like one.
    expect(counts(stdout)).toEqual({
      close: { lost: 1 },
      reset: { lost: 1 },
      'stop-reading': { lost: 1 },
      'last-frame': { kept: 1 },
      complete: { kept: 1 },
      gzip: { lost: 1 },
    });
  });

  it('that keeps less than was seen loses it', async () => {
    const { argv } = await serveOwn((keep, _req, res) => {
      keep('one ');
      res.type('text/plain').end('one two ');
    });
    const { stdout } = await probe([...argv, '--ways', 'complete']);
    expect(counts(stdout)).toEqual({ complete: { lost: 1 } });
    expect(stdout).toContain('lost: complete: 8 characters seen, 4 of them kept (probe-');
  });

  it('whose history has no such conversation has lost it', async () => {
    const { argv, testServer } = await serveOwn((keep, _req, res) => {
      keep('one ');
      res.type('text/plain').end('one ');
    });
    const elsewhere = ['--history', `${testServer.url}/nowhere/{id}`, '--ways', 'complete'];
    expect(counts((await probe([...argv, ...elsewhere])).stdout)).toEqual({
      complete: { lost: 1 },
    });
  });

  it('that saves after its last frame is late for a client that asks at once', async () => {
    const { argv, asked } = await serveOwn(async (keep, req, res) => {
      res.type('text/event-stream');
      res.write('data: {"text":"one two"}\n\n');
      res.write('data: [DONE]\n\n');
      await until('somebody has asked', () => asked.includes(req.params.id));
      keep('one two');
      res.end();
    });
    const { exitCode, stdout } = await probe([...argv, '--ways', 'last-frame']);
    expect(exitCode).toBe(1);
    expect(counts(stdout)).toEqual({ 'last-frame': { late: 1 } });
  });

  it('that cannot be judged is reported as failed', async () => {
    const broken = await serveOwn((_keep, _req, res) => void res.status(503).end('busy'));
    const { exitCode, stdout } = await probe([...broken.argv, '--ways', 'complete']);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('failed: complete: was answered with status 503');

    const silent = await serveOwn((_keep, _req, res) => {
      res.type('text/event-stream').end(': nothing\n\n');
    });
    expect((await probe([...silent.argv, '--ways', 'complete'])).stdout).toContain(
      'failed: complete: read no text in the answer',
    );

    const stuck = await serveOwn((_keep, _req, res) => res.type('text/plain').flushHeaders());
    expect((await probe([...stuck.argv, '--ways', 'close', '--timeout', '1'])).stdout).toContain(
      'failed: close: did not get to its end in time',
    );

    const { testServer } = await serveOwn(() => undefined);
    testServer.server.close();
    testServer.server.closeAllConnections();
    const nobody = [
      `${testServer.url}/{id}`,
      '--history',
      `${testServer.url}/{id}`,
      '--ways',
      'close',
    ];
    expect((await probe(nobody)).stdout).toContain('failed: close: broke off (ECONNREFUSED)');
  });
});

it('finds a message by the id in the header of its answer', async () => {
  const store = createMemoryStore();
  const keep = lastchunk({ store, journal: false });
  onTestFinished(async () => void (await keep.close({ deadlineMs: 1000 })));
  const app = express();
  app.get('/chat', keep.guard(), (_req, res) => {
    res.type('text/event-stream').write('data: {"text":"one two"}\n\n');
    res.end('data: [DONE]\n\n');
  });
  // All messages there are: without the id in them, one answer could be taken for another.
  app.get('/messages', (_req, res) => {
    res.json([{ id: 'another', content: 'one two' }, ...store.rows.values()]);
  });
  const testServer = await serve(app);
  const history = `${testServer.url}/messages?id={message}`;
  const { exitCode, stdout } = await probe([
    `${testServer.url}/chat`,
    '--history',
    history,
    '--stall',
    '0',
  ]);
  expect(counts(stdout)).toEqual(ALL_KEPT);
  expect(exitCode).toBe(0);
});

describe('the probe leaves', () => {
  it.each(['http', 'https'] as const)('over %s by the way that it names', async (transport) => {
    // As with curl -k; the certificate is the test's own.
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    onTestFinished(() => void delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
    const { argv, testServer } = await serveOwn((keep, _req, res) => {
      keep('one');
      res.type('text/plain').write('one');
    }, transport);
    const errorAfter = async (way: string): Promise<string | undefined> => {
      testServer.forgetSockets();
      const { exitCode } = await probe([...argv, '--ways', way]);
      expect(exitCode).toBe(0);
      const [socket] = testServer.sockets;
      await until('the server has met the close', () => socket?.closed);
      return (socket?.errored as NodeJS.ErrnoException | null | undefined)?.code;
    };
    expect(await errorAfter('close')).toBeUndefined();
    expect(await errorAfter('reset')).toBe('ECONNRESET');
  });

  it('by not reading, so that the server has bytes that it cannot send', async () => {
    let stuck = false;
    const { argv } = await serveOwn(async (keep, _req, res) => {
      const chunk = 'x'.repeat(65_536);
      keep(chunk.repeat(8));
      res.type('text/plain');
      while (!res.destroyed) {
        if (res.write(chunk)) continue;
        const taken = once(res, 'drain').then(() => true);
        stuck = !(await Promise.race([taken, once(res, 'close').then(() => false)]));
      }
    });
    const { exitCode } = await probe([...argv, '--ways', 'stop-reading', '--stall', '1']);
    await until('the server has met the close', () => stuck);
    expect(exitCode).toBe(0);
  });
});

describe('a wrong call exits with 2 and prints the mistake', () => {
  const URL = 'http://localhost:1/{id}';
  const HISTORY = ['--history', URL];
  it.each<[readonly string[], RegExp]>([
    [[], /say which URL/],
    [[URL, URL], /say which URL/],
    [['ftp://x', ...HISTORY], /the URL must begin with http/],
    [[URL], /say where to look: `--history URL`, `--database-url URL`, or DATABASE_URL, or PGHOST/],
    [[URL, '--history', 'nowhere'], /`--history` must begin with http/],
    [[URL, '--history', 'http://localhost:1/all'], /must hold \{id\} or \{message\}/],
    [['http://localhost:1/', ...HISTORY], /in neither URL, header nor body/],
    [[URL, ...HISTORY, '--sql', 'select'], /two answers to one question/],
    [[URL, ...HISTORY, '--ways', 'close,jump'], /`--ways` takes close, .*not "jump"/],
    [[URL, ...HISTORY, '--rounds', '0'], /`--rounds` must be a whole number from 1 to 1000/],
    [[URL, ...HISTORY, '--wait', 'long'], /`--wait` must be a whole number .*not "long"/],
    [[URL, ...HISTORY, '--header', 'token abc'], /`--header` must be 'Name: value'\n/],
    [[URL, ...HISTORY, '--format', 'html'], /`--format` takes auto, .*not "html"/],
    [[URL, ...HISTORY, '--header-env', 'x'], /`--header-env` must be/],
    [[URL, ...HISTORY, '--metrics-port', '0'], /`--metrics-port` needs `--interval`/],
    [[URL, ...HISTORY, '--no-such-option'], /--no-such-option/],
  ])('%j', async (argv, message) => {
    const { exitCode, stdout, stderr } = await probe(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});

it('repeats at an interval, serves metrics to Prometheus, and ends on SIGTERM', async () => {
  let keeps = true;
  const { argv } = await serveOwn((keep, _req, res) => {
    if (keeps) keep('one ');
    res.type('text/plain').end('one ');
  });
  const flags = ['--ways', 'complete', '--wait', '0', '--interval', '1', '--metrics-port', '0'];
  const command = ['--import', 'tsx', 'src/cli/bin.ts', 'probe', ...argv, ...flags];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  const found = await until('it says where its metrics are', () =>
    lines.map((line) => /http:\S+/.exec(line)?.[0]).find((url) => url !== undefined),
  );
  const scrape = async () => parseScrape(await (await fetch(found)).text());
  const total = async (result: string): Promise<number> =>
    (await scrape()).sum('lastchunk_probe_streams_total', { way: 'complete', result });
  expect((await scrape()).has('lastchunk_probe_streams_total', { result: 'late' })).toBe(true);
  await until('two rounds were kept', async () => (await total('kept')) >= 2);
  keeps = false;
  await until('one was lost', async () => (await total('lost')) >= 1);
  expect((await scrape()).sum('lastchunk_probe_last_round_timestamp_seconds')).toBeGreaterThan(1e9);
  expect(lines.join('\n')).toMatch(/Z all 1 kept\n/);
  expect(found).toMatch(/^http:\/\/127\.0\.0\.1:/);
  child.kill('SIGTERM');
  expect(await soon('its end', once(child, 'exit'))).toEqual([1, null]);
});

describe('the check of the stored row', () => {
  const frames = (...texts: readonly string[]): string =>
    texts.map((text) => `data: ${JSON.stringify({ text })}\n\n`).join('');
  const SEEN = `${frames('It costs ', '$0.005', ' [1] today.')}data: [DONE]\n\n`;
  const GOOD = {
    role: 'assistant',
    content: 'It costs $0.005 [1] today.',
    events: null,
    complete: true,
    outcome: 'completed',
  };

  /** What the probe says of an app that sends `body` and has these rows. */
  async function told(rows: readonly object[], body = SEEN, flags: readonly string[] = []) {
    const app = express();
    app.get('/chat/:id', (_req, res) => void res.type('text/event-stream').end(body));
    app.get('/rows/:id', (_req, res) => void res.json(rows));
    const { url } = await serve(app);
    const where = [`${url}/chat/{id}`, '--history', `${url}/rows/{id}`];
    const how = ['--wait', '0', '--ways', 'complete', ...flags];
    const { stdout } = await probe([...where, ...how]);
    return stdout;
  }

  it('accepts the right row as kept', async () => {
    expect(counts(await told([GOOD]))).toEqual({ complete: { kept: 1 } });
  });

  it('accepts a row whose events hold the text that was seen', async () => {
    const row = { ...GOOD, content: '', events: [{ text: 'It costs ' }, { text: '$0.005' }] };
    const all = { ...row, events: [...row.events, { text: ' [1] today.' }] };
    expect(counts(await told([all]))).toEqual({ complete: { kept: 1 } });
    expect(await told([row])).toContain('1 strings that were seen are in neither text nor events');
  });

  it.each([
    ['a wrong text', [{ ...GOOD, content: 'It costs nothing.' }], 'its text is not what was seen'],
    [
      'a doubled text',
      [{ ...GOOD, content: GOOD.content.repeat(2) }],
      'its text goes on behind what was seen',
    ],
    ['a missing number', [{ ...GOOD, content: 'It costs  [1] today.' }], 'not what was seen'],
    ['an empty row', [{ ...GOOD, content: '' }], 'the row is empty'],
    [
      'a wrong `complete`',
      [{ ...GOOD, complete: false }],
      'not complete, although its end was seen',
    ],
    ['a wrong outcome', [{ ...GOOD, outcome: 'truncated' }], 'its outcome is truncated'],
    ['a double row', [GOOD, { ...GOOD }], '2 rows of one answer'],
    ['a second, partial row', [GOOD, { ...GOOD, content: 'It costs' }], '2 rows of one answer'],
  ])('finds %s', async (_what, rows, reason) => {
    const stdout = await told(rows);
    expect(counts(stdout)).toEqual({ complete: { wrong: 1 } });
    expect(stdout).toContain(`wrong: complete: `);
    expect(stdout).toContain(reason);
    expect(stdout).not.toContain('costs');
  });

  it('finds a failed answer that is stored as complete', async () => {
    const body = `${frames('It costs ')}data: {"error":{"message":"upstream failed"}}\n\n`;
    const stdout = await told([{ ...GOOD, content: 'It costs ', events: [body] }], body);
    expect(stdout).toContain('complete, although the answer failed');
  });

  it('reports that a route without a row is not guarded', async () => {
    expect(await told([])).toContain(
      'no X-Stream-Id: this route is not guarded, or its answer is not taken for a stream',
    );
  });
});

it('sends a header from the environment, and does not follow a redirect with it', async () => {
  const met: unknown[] = [];
  const app = express();
  app.get('/chat/:id', (req, res) => {
    met.push(req.headers.authorization);
    res.type('text/plain').end('one two');
  });
  app.get('/rows/:id', (_req, res) => res.redirect('/elsewhere'));
  app.get('/elsewhere', (req, res) => {
    met.push(`redirected: ${req.headers.authorization}`);
    res.json([]);
  });
  const { url } = await serve(app);
  const flags = ['--header-env', 'authorization: TOKEN', '--ways', 'complete', '--wait', '0'];
  const argv = [`${url}/chat/{id}`, '--history', `${url}/rows/{id}`, ...flags];
  const { stdout } = await probe(argv, { TOKEN: 'Bearer secret' });
  expect(met).toEqual(['Bearer secret']);
  expect(stdout).toContain('the history was answered with status 302');
  expect((await probe(argv)).stderr).toContain('TOKEN is not set');
});

it('sends the credentials of an address, to the history too, and prints them nowhere', async () => {
  const met: unknown[] = [];
  const app = express();
  app.use((req, _res, next) => {
    met.push(req.headers.authorization);
    next();
  });
  app.get('/chat/:id', (_req, res) => void res.type('text/plain').end('one two'));
  app.get('/rows/:id', (_req, res) => void res.json([{ content: 'one two' }]));
  const { port } = await serve(app);
  const base = `http://us%65r:se%20cret@localhost:${port}`;
  const flags = ['--ways', 'complete', '--wait', '0'];
  const good = await probe([`${base}/chat/{id}`, '--history', `${base}/rows/{id}`, ...flags]);
  expect(good).toMatchObject({ exitCode: 0, stderr: '' });
  const basic = `Basic ${Buffer.from('user:se cret').toString('base64')}`;
  expect(met).toEqual([basic, basic]);
  const token = ['--header', 'authorization: Bearer token'];
  await probe([`${base}/chat/{id}`, '--history', `${base}/rows/{id}`, ...token, ...flags]);
  expect(met.slice(2)).toEqual(['Bearer token', 'Bearer token']);
  const bad = `http://user:secret@localhost:0x/rows/{id}`;
  expect((await probe([`${base}/chat/{id}`, '--history', bad, ...flags])).stderr).not.toContain(
    'secret',
  );
});

it('prints the text of a server without control characters', async () => {
  const app = express();
  app.get('/chat/:id', (_req, res) => {
    // Node writes a header in latin1: this is the one-character form of ESC [.
    res.setHeader('x-message-id', 'm\u009b2J');
    res.type('text/plain').end('one two');
  });
  app.get('/rows/:id', (_req, res) => void res.json([]));
  const { url } = await serve(app);
  const flags = ['--ways', 'complete', '--wait', '0'];
  const { stdout } = await probe([`${url}/chat/{id}`, '--history', `${url}/rows/{id}`, ...flags]);
  expect(stdout).toContain('\\u{9b}2J');
});
