/** Apps in which something is wrong, as far as files and a database can have it, and what the doctor says of them. */
import { installCommand } from '../../../src/register/install.ts';
import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeKind } from '../../../src/cli/doctor/environment.ts';
import { databaseIn } from '../../../src/cli/database.ts';
import { findDestination } from '../../../src/cli/doctor/environment.ts';
import { examineTls } from '../../../src/cli/doctor/exposure.ts';
import { prometheus } from '../../../src/telemetry/prometheus.ts';
import { look } from '../../postgres/messages.ts';
import { ROOT } from '../../support/imports.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { anApp, doctor, HEALTHY, install, real } from './an-app.ts';

/** Lines about what is wrong; the last says how many they are. */
async function wrongIn(app: string, argv: readonly string[] = []): Promise<readonly string[]> {
  const { exitCode, lines } = await doctor(app, argv);
  const wrong = lines.filter((line) => line.startsWith('wrong'));
  expect(exitCode).toBe(wrong.length === 0 ? 0 : 1);
  expect(lines.at(-1)).toBe(wrong.length === 0 ? 'nothing is wrong' : `${wrong.length} wrong`);
  return wrong;
}

it('finds nothing wrong in a healthy app, and lists what it did not check', async () => {
  expect(await doctor(await anApp())).toEqual({
    exitCode: 0,
    lines: [
      'note   the database was not checked. give `--database-url URL`, or set DATABASE_URL or PGHOST and the like.',
      'nothing is wrong',
    ],
  });
});

it('prints the same findings as JSON', async () => {
  const app = await anApp({ ...real(HEALTHY), 'prom-client': { version: '14.2.0' } });
  const { exitCode, lines } = await doctor(app, ['--json']);
  expect(exitCode).toBe(1);
  expect(JSON.parse(lines.join('\n'))).toEqual({
    ok: false,
    findings: [
      {
        level: 'wrong',
        check: 'peer',
        says: 'prom-client 14.2.0 is outside of the range that lastchunk supports (^15.1.0)',
        fix: 'npm install "prom-client@^15.1.0"',
      },
      expect.objectContaining({ level: 'note', check: 'database' }),
    ],
  });
});

it('prints its help, and refuses unknown options', async () => {
  const { exitCode, lines } = await doctor('/nowhere', ['--help']);
  expect({ exitCode, first: lines[0] }).toEqual({
    exitCode: 0,
    first: 'usage: lastchunk doctor [options]',
  });
  await expect(doctor('/nowhere', ['--jounal', 'x'])).rejects.toThrow(/--jounal/);
  await expect(doctor(await anApp(), ['--database-url', 'mysql://x'])).rejects.toMatchObject({
    code: 'bad-option',
  });
});

describe('the check of versions', () => {
  it('reports a Node that lastchunk does not support', async () => {
    const app = await anApp();
    const own = { version: '9.0.0', engines: { node: '>=99' } };
    await rm(join(app, 'node_modules/lastchunk'), { recursive: true });
    await install(app, 'lastchunk', own);
    expect(await wrongIn(app)).toEqual([
      `wrong  Node ${process.versions.node} is not supported by lastchunk 9.0.0. use Node >=99.`,
    ]);
  });

  it.each([
    ['express', '4.17.3'],
    ['express', '6.0.0'],
    ['pg', '8.10.0'],
    ['@opentelemetry/api', '1.8.0'],
    ['@opentelemetry/sdk-node', '0.57.2'],
  ])('reports a %s that lastchunk does not support: %s', async (name, version) => {
    const wrong = await wrongIn(await anApp({ ...real(HEALTHY), [name]: { version } }));
    expect(wrong.join('\n')).toContain(
      `${name} ${version} is outside of the range that lastchunk supports`,
    );
  });

  it('reports an SDK that does not support this Node', async () => {
    const sdk = { version: '0.999.0', engines: { node: '>=99.1.0' } };
    const app = await anApp({ ...real(HEALTHY), '@opentelemetry/sdk-node': sdk });
    expect(await wrongIn(app)).toEqual([
      expect.stringMatching(/sdk-node 0\.999\.0 is not made for Node .* \(it wants >=99\.1\.0\)/),
    ]);
  });

  it.each([
    ['5.1.0', '^5.0.0', true],
    ['5.1.0', '^4.21.0 || >= 5', true],
    ['5.1.0-beta.2', '^5.1.0', true],
    ['5.1.0', '~5.0.3', false],
    ['5.1.0', '5.0.x', false],
    ['0.17.0', '^0.16.0', false],
    ['5.1.0', 'latest', true],
    ['5.1.0', 'file:../express', true],
  ])('accepts %s for the range %j: %s', async (version, range, accepted) => {
    const app = await anApp({ ...real(HEALTHY), express: { version } });
    const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as object;
    const own = { ...manifest, peerDependencies: { express: range } };
    await writeFile(join(app, 'node_modules/lastchunk/package.json'), JSON.stringify(own));
    const wrong = (await wrongIn(app)).join('\n');
    expect(wrong.includes(`express ${version} is outside`)).toBe(!accepted);
  });

  it('reports an SDK whose range excludes the installed API', async () => {
    const sdk = {
      version: '0.301.0',
      peerDependencies: { '@opentelemetry/api': '>=1.10.0 <1.11.0' },
    };
    const app = await anApp({ ...real(HEALTHY), '@opentelemetry/sdk-node': sdk });
    expect(await wrongIn(app)).toEqual([
      'wrong  @opentelemetry/sdk-node 0.301.0 wants @opentelemetry/api >=1.10.0 <1.11.0 and gets 1.9.1. ' +
        'npm install "@opentelemetry/api@>=1.10.0 <1.11.0".',
    ]);
  });

  it('reports an API that is not installed', async () => {
    const app = await anApp(real(['prom-client']));
    expect(await wrongIn(app)).toEqual([
      'wrong  @opentelemetry/api is not installed. npm install @opentelemetry/api.',
    ]);
  });
});

describe('a second copy of the OpenTelemetry API', () => {
  const nested = 'lastchunk/node_modules/@opentelemetry/api';

  it('is wrong if it does not accept what the SDK registers', async () => {
    const app = await anApp({
      ...real(HEALTHY),
      [nested]: { name: '@opentelemetry/api', version: '1.98.0' },
    });
    const [line, ...more] = await wrongIn(app);
    expect(more).toEqual([]);
    expect(line).toMatch(/installed 2 times \(1\.98\.0 in node_modules\/lastchunk\/node_modules/);
    expect(line).toMatch(
      /the reports of lastchunk are dropped\. npm install @opentelemetry\/api@1\.9\.1, then npm dedupe/,
    );
  });

  it.each([
    ['Sentry', '@sentry/node', '@sentry/node/node_modules/@opentelemetry/api'],
    ['dd-trace', 'dd-trace', 'dd-trace/node_modules/@opentelemetry/api'],
  ])('is wrong if %s brings it along and registers with it', async (_, name, place) => {
    const app = await anApp({
      '@opentelemetry/api': { version: '1.10.0' },
      [name]: { version: '10.0.0' },
      [place]: { name: '@opentelemetry/api', version: '1.9.1' },
    });
    expect(await wrongIn(app)).toEqual([
      `wrong  @opentelemetry/api is installed 2 times (1.10.0 in node_modules/@opentelemetry/api, 1.9.1 in node_modules/${place}): ` +
        'the reports of lastchunk are dropped. npm install @opentelemetry/api@1.9.1, then npm dedupe; `npm ls @opentelemetry/api` shows which package requires which version.',
    ]);
    const { lines } = await doctor(app);
    expect(lines.filter((line) => /no OpenTelemetry SDK|no request span/.test(line))).toEqual([]);
  });

  it('is found at any depth, and in the store of pnpm', async () => {
    const copies = [
      'a/node_modules/@scope/b/node_modules/@opentelemetry/api',
      '.pnpm/@opentelemetry+api@1.9.0/node_modules/@opentelemetry/api',
    ];
    const copy = { name: '@opentelemetry/api', version: '1.9.0' };
    const app = await anApp({
      ...real(HEALTHY),
      ...Object.fromEntries(copies.map((place) => [place, copy])),
    });
    const { lines } = await doctor(app);
    expect(lines[0]).toMatch(/^note {3}@opentelemetry\/api is installed 3 times/);
    for (const place of copies) expect(lines[0]).toContain(`1.9.0 in node_modules/${place}`);
  });

  it('is a note if it accepts what the SDK registers', async () => {
    const app = await anApp({
      ...real(HEALTHY),
      [nested]: { name: '@opentelemetry/api', version: '1.9.0' },
    });
    expect(await wrongIn(app)).toEqual([]);
    const { lines } = await doctor(app);
    expect(lines[0]).toMatch(/^note {3}@opentelemetry\/api is installed 2 times/);
  });
});

describe('a missing package', () => {
  it('is a note for the SDK if there is a Prometheus client, and wrong if nothing is measured', async () => {
    const fed = await anApp(real(['@opentelemetry/api', 'prom-client']));
    expect(await wrongIn(fed)).toEqual([]);
    expect((await doctor(fed)).lines[0]).toContain('there are no traces');
    const blind = await anApp(real(['@opentelemetry/api']));
    expect(await wrongIn(blind)).toEqual([expect.stringContaining('nothing is measured')]);
  });

  it('is a note for the instrumentation of HTTP', async () => {
    const app = await anApp(real(['@opentelemetry/api', '@opentelemetry/sdk-node']));
    expect(await wrongIn(app)).toEqual([]);
    expect((await doctor(app)).lines[0]).toContain(
      installCommand(['@opentelemetry/instrumentation-http'], process.versions.node),
    );
  });
});

it('reports that both Prometheus clients are installed', async () => {
  const successor = { version: '0.16.1' };
  const app = await anApp({ ...real(HEALTHY), '@prometheus-io/client': successor });
  expect(await wrongIn(app)).toEqual([
    expect.stringContaining('prom-client and @prometheus-io/client are both installed'),
  ]);
});

it('reports that it cannot check the position of compression()', async () => {
  const { exitCode, lines } = await doctor(await anApp(real([...HEALTHY, 'compression'])));
  expect(exitCode).toBe(0);
  expect(lines[0]).toMatch(
    /^note {3}whether compression\(\) is before .* is known only when the app runs/,
  );
});

describe('the journal', () => {
  it('is checked in the app, where it would be created, and the check leaves no file', async () => {
    const app = await anApp();
    await wrongIn(app);
    await mkdir(join(app, 'data'));
    expect(await wrongIn(app, ['--journal', 'data/not/there/yet'])).toEqual([]);
    expect((await readdir(app)).toSorted()).toEqual(['data', 'node_modules']);
    expect(await readdir(join(app, 'data'))).toEqual([]);
  });

  it.each(['/proc/lastchunk', '/sys/lastchunk'])(
    'is wrong where it cannot be written: %s',
    async (path) => {
      expect(await wrongIn(await anApp(), ['--journal', path])).toEqual([
        expect.stringMatching(
          /directory \/\w+\/lastchunk cannot be written \(E[A-Z]+\)\. (?:give|sudo|mount)/,
        ),
      ]);
      expect(await wrongIn(await anApp(), ['--journal', path, '--no-journal'])).toEqual([]);
    },
  );

  it('gets a command that can be copied, with any characters in its path', async () => {
    const path = "/sys/it's; here";
    expect(await wrongIn(await anApp(), ['--journal', path])).toEqual([
      expect.stringContaining(`'/sys/it'\\''s; here'`),
    ]);
  });

  it('is wrong where a file is in its path', async () => {
    const app = await anApp();
    await writeFile(join(app, 'file'), '');
    expect(await wrongIn(app, ['--journal', 'file/journal'])).toEqual([
      expect.stringContaining('(ENOTDIR)'),
    ]);
  });

  it('is wrong on a tmpfs, which is lost with the machine, unless --ephemeral is given', async () => {
    if (!existsSync('/dev/shm')) return console.log('no /dev/shm: tmpfs is not tested here');
    const app = await anApp();
    expect(await wrongIn(app, ['--journal', '/dev/shm/lastchunk'])).toEqual([
      expect.stringMatching(/is on tmpfs: .* mount a volume/),
    ]);
    expect(await wrongIn(app, ['--journal', '/dev/shm/lastchunk', '--ephemeral'])).toEqual([]);
  });

  it('is wrong on an overlay, which is lost with the container', async () => {
    if (spawnSync('unshare', ['-m', 'true']).status !== 0) {
      return console.log('mounting is not allowed: overlay is not tested here');
    }
    const app = await anApp();
    // On a tmpfs: an overlay cannot lie on another one, which the machine itself may be.
    const program = `mount -t tmpfs none "$1" && cd "$1" && mkdir low up work all &&
      mount -t overlay none -o lowerdir=low,upperdir=up,workdir=work all &&
      exec "$2" "$3" "$4" doctor --app "$5" --journal "$1/all/journal" --json`;
    const mount = join(app, 'mount');
    await mkdir(mount);
    const bin = [join(ROOT, 'node_modules/tsx/dist/cli.mjs'), join(ROOT, 'src/cli/bin.ts')];
    const shell = ['-m', 'sh', '-c', program, 'sh', mount, process.execPath, ...bin, app];
    const { stdout, stderr } = spawnSync('unshare', shell, { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      findings: [{ check: 'journal', says: expect.stringContaining('is on overlay') }, {}],
    });
  });

  it('is wrong on a network file system', () => {
    expect(describeKind('/mnt/nfs', 'network', true)).toMatchObject([
      { level: 'wrong', says: expect.stringContaining('network file system') },
    ]);
  });
});

describe('the database', () => {
  let server: TestPostgres;
  let url: string;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.remove());
  beforeEach(async () => {
    url = await server.newDatabase();
  });

  it('is wrong if its table is missing or outdated, and not if it is up to date', async () => {
    const app = await anApp();
    expect(await wrongIn(app, ['--database-url', url])).toEqual([
      expect.stringContaining(
        'the table lastchunk_messages has not been made. npx lastchunk migrate',
      ),
    ]);
    const { main } = await import('../../../src/cli/main.ts');
    const quiet = { write: () => undefined };
    const io = { stdout: quiet, stderr: quiet, env: { DATABASE_URL: url } };
    expect(await main(['migrate'], io)).toBe(0);
    expect(await doctor(app, [], { DATABASE_URL: url })).toEqual({
      exitCode: 0,
      lines: [
        'note   there is no relay in the database. fine for one instance with a lasting disk; for several see docs/replicas.md.',
        'nothing is wrong',
      ],
    });
    expect(await wrongIn(app, ['--database-url', url, '--table', 'answers'])).toHaveLength(1);
  });

  it('is noted if a newer lastchunk has migrated it', async () => {
    await look(
      url,
      `CREATE TABLE lastchunk_migrations (table_name text, version integer);
       INSERT INTO lastchunk_migrations VALUES ('lastchunk_messages', 9000)`,
    );
    const { exitCode, lines } = await doctor(await anApp(), ['--database-url', url]);
    expect(exitCode).toBe(0);
    expect(lines[0]).toContain('version 9000');
  });

  it('is wrong if it suppresses, changes or refuses a message, and the test row is rolled back', async () => {
    const { main } = await import('../../../src/cli/main.ts');
    const quiet = { write: () => undefined };
    await main(['migrate'], { stdout: quiet, stderr: quiet, env: { DATABASE_URL: url } });
    const app = await anApp();
    const trigger = (body: string) =>
      look(
        url,
        `CREATE OR REPLACE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$;
         CREATE OR REPLACE TRIGGER answer BEFORE INSERT ON lastchunk_messages
         FOR EACH ROW EXECUTE FUNCTION answer()`,
      );
    await trigger('RETURN NULL;');
    expect(await wrongIn(app, ['--database-url', url])).toEqual([
      expect.stringContaining('takes a message without an error and does not keep it'),
    ]);
    await trigger("NEW.content := 'redacted'; RETURN NEW;");
    expect(await wrongIn(app, ['--database-url', url])).toEqual([
      expect.stringContaining('does not give back the message that was written'),
    ]);
    await trigger('RETURN NEW;');
    await look(url, 'ALTER TABLE lastchunk_messages ALTER conversation_id SET NOT NULL');
    const { exitCode, lines } = await doctor(app, ['--database-url', url]);
    expect(exitCode).toBe(0);
    expect(lines[0]).toMatch(/refuses a message without a conversation: .*conversation_id/);
    expect(await look(url, 'SELECT FROM lastchunk_messages')).toEqual([]);
  });

  it('is wrong if it cannot be reached, and its password is not printed', async () => {
    const nobody = url.replace('postgres@', 'nobody:secret@');
    const [refused] = await wrongIn(await anApp(), ['--database-url', nobody]);
    expect(refused).toMatch(/does not answer: .*nobody.*\(28000\)/);
    expect(refused).not.toContain('secret');
    const [away] = await wrongIn(await anApp(), ['--database-url', 'postgres://127.0.0.1:1/db']);
    expect(away).toMatch(/does not answer: .*ECONNREFUSED/);
  });

  it('cannot be checked without pg', async () => {
    const app = await anApp(real(HEALTHY.filter((name) => name !== 'pg')));
    expect(await wrongIn(app, ['--database-url', url])).toEqual([
      'wrong  pg is not installed. npm install pg.',
    ]);
  });
});

describe('access from outside:', () => {
  /** By the driver, which reads the environment of the process; '' is no URL. */
  const tls = (url: string, env: Readonly<Record<string, string>> = {}): string[] => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const database = databaseIn(url, env);
    return examineTls(findDestination(ROOT, database)).map(
      ({ level, says }) => `${level}: ${says}`,
    );
  };
  afterEach(() => void vi.unstubAllEnvs());

  it.each([
    ['postgres://db.example.org/chat', {}],
    ['postgres://user:secret@10.0.0.7:5432/chat', {}],
    ['postgres://db.example.org/chat?sslmode=disable', {}],
    ['postgres:///chat?host=db.example.org', {}],
    ['postgres://db.example.org/chat', { PGSSLMODE: 'disable' }],
    ['postgres:///chat', { PGHOST: 'db.example.org' }],
    ['', { PGHOST: 'db.example.org' }],
    ['', { PGHOST: 'db.example.org', PGSSLMODE: 'disable' }],
  ])('a remote database without TLS is wrong: %s %j', (url, env) => {
    const [says = '', ...more] = tls(url, env);
    expect(more).toEqual([]);
    expect(says).toMatch(
      /^wrong: the database on (?:db\.example\.org|10\.0\.0\.7) is reached without TLS/,
    );
    expect(says).not.toContain('secret');
  });

  it.each([
    ['postgres://localhost/chat', {}],
    ['postgres://127.0.0.1:5432/chat', {}],
    ['postgres://[::1]/chat', {}],
    ['postgres:///chat?host=/run/postgresql', {}],
    ['postgres://db.example.org/chat?sslmode=verify-full', {}],
    ['postgres://db.example.org/chat?ssl=true', {}],
    ['postgres://db.example.org/chat', { PGSSLMODE: 'verify-full' }],
    ['', { PGHOST: 'db.example.org', PGSSLMODE: 'verify-full' }],
    ['', { PGHOST: '/run/postgresql' }],
  ])('a database on this machine, or with TLS, is not: %s %j', (url, env) => {
    expect(tls(url, env)).toEqual([]);
  });

  it('TLS that verifies no certificate is a note', () => {
    expect(tls('postgres://db.example.org/chat?sslmode=no-verify')).toEqual([
      expect.stringContaining(
        'note: the database on db.example.org is reached by TLS, but its certificate is not verified',
      ),
    ]);
  });

  it('a remote database is checked for TLS before it answers', async () => {
    const url = 'postgres://nobody:secret@192.0.2.1:5432/chat';
    const wrong = await wrongIn(await anApp(real(['@opentelemetry/api', 'prom-client', 'pg'])), [
      '--database-url',
      url,
    ]);
    expect(wrong[0]).toContain('192.0.2.1 is reached without TLS');
    expect(wrong.join()).not.toContain('secret');
  });

  it('public metrics and public details of health are wrong', async () => {
    const instance = createInMemoryInstance();
    const metrics = prometheus({ registry: new Registry() });
    const open = await serve((req, res) => {
      if (req.url === '/app/metrics') metrics.handler()(req, res);
      else if (req.url === '/app/health') instance.keep.healthHandler()(req, res);
      else res.writeHead(404).end();
    });
    expect(await wrongIn(await anApp(), ['--public-url', `${open.url}/app?token=secret`])).toEqual([
      `wrong  ${open.url}/app/metrics shows metrics to anybody. bind metrics to an address of their own, or ask for authorisation.`,
      `wrong  ${open.url}/app/health shows the details of health to anybody. give \`healthHandler({ details: false })\`, or a function of the request.`,
    ]);
  });

  it('public metrics at a path given by --public-path are wrong', async () => {
    const metrics = prometheus({ registry: new Registry() });
    const open = await serve((req, res) => {
      if (/^\/(?:internal\/m|app\/own)$/.test(req.url ?? '')) metrics.handler()(req, res);
      else res.writeHead(404).end();
    });
    const at = ['--public-url', `${open.url}/app`];
    const told = ['--public-path', '/internal/m', '--public-path', 'own'];
    expect(await wrongIn(await anApp(), at)).toEqual([]);
    expect(
      (await wrongIn(await anApp(), [...at, ...told])).map((line) => line.split(' shows')[0]),
    ).toEqual([`wrong  ${open.url}/internal/m`, `wrong  ${open.url}/app/own`]);
    await expect(doctor(await anApp(), told)).rejects.toMatchObject({ code: 'bad-option' });
  });

  it('a status of health without details, a redirect, and pages of the app are not wrong', async () => {
    const instance = createInMemoryInstance();
    const shut = await serve((req, res) => {
      if (req.url === '/health') instance.keep.healthHandler({ details: false })(req, res);
      else if (req.url === '/metrics') res.writeHead(302, { location: '/login' }).end();
      else res.end('lastchunk is what we use');
    });
    expect(await wrongIn(await anApp(), ['--public-url', shut.url])).toEqual([]);
  });

  it('a public URL that does not answer is reported as not checked', async () => {
    const { lines } = await doctor(await anApp(), ['--public-url', 'http://127.0.0.1:1']);
    expect(lines.join()).toContain('http://127.0.0.1:1 does not answer');
    await expect(doctor(await anApp(), ['--public-url', 'file:///etc'])).rejects.toMatchObject({
      code: 'bad-option',
    });
  });

  it('clients that can stay without reading are a note, until stallTimeoutMs is set', async () => {
    const app = await anApp();
    const source = join(app, 'src/app.ts');
    await mkdir(dirname(source));
    await writeFile(
      source,
      "import { lastchunk } from 'lastchunk';\napp.post('/', keep.guard({ message }))",
    );
    const stall = async (): Promise<boolean> =>
      (await doctor(app)).lines.some((line) =>
        line.startsWith('note   stallTimeoutMs is off in 1 file'),
      );
    expect(await stall()).toBe(true);
    await writeFile(
      join(app, 'src/options.js'),
      'export const options = { stallTimeoutMs: 30_000 };',
    );
    expect(await stall()).toBe(false);
  });
});

describe('the directory of the journal', () => {
  it('is wrong if the group or others may write it, or if it is a symbolic link', async () => {
    const app = await anApp();
    const path = join(app, '.lastchunk');
    await mkdir(path, { mode: 0o700 });
    expect(await wrongIn(app)).toEqual([]);
    await chmod(path, 0o770);
    expect(await wrongIn(app)).toEqual([
      `wrong  the journal's directory ${path} can be written by its group or by others (mode 770). it has to belong to the user that the app runs as, with mode 0700.`,
    ]);
    await rm(path, { recursive: true });
    await mkdir(join(app, 'elsewhere'));
    await symlink(join(app, 'elsewhere'), path);
    expect(await wrongIn(app)).toEqual([expect.stringContaining('is not a directory')]);
  });

  it('is reported as replaceable if others may write its parent', async () => {
    const app = await anApp();
    await mkdir(join(app, 'open/journal'), { recursive: true, mode: 0o700 });
    await chmod(join(app, 'open'), 0o777);
    const told = async (): Promise<string> =>
      (await doctor(app, ['--journal', 'open/journal'])).lines.join();
    expect(await told()).toContain('could replace it');
    await chmod(join(app, 'open'), 0o1777);
    expect(await told()).not.toContain('others may write');
    await rm(join(app, 'open/journal'), { recursive: true });
    expect(await told()).toContain('could create it before the app');
  });

  it('is wrong if it belongs to another user', async () => {
    if (process.getuid?.() !== 0) return console.log('not root: another owner is not tested here');
    const app = await anApp();
    await mkdir(join(app, '.lastchunk'), { mode: 0o700 });
    await chown(join(app, '.lastchunk'), 65_534, 65_534);
    expect(await wrongIn(app)).toEqual([expect.stringContaining('belongs to user 65534')]);
  });
});
