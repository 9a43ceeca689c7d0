/**
 * `lastchunk doctor`: finds parts that load and run but have no effect. (A wrong option throws at start, so it is not checked here.) Each
 * finding says what to do.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bad } from '../../core/options.ts';
import { databaseIn, neededDatabase } from '../database.ts';
import type { Io } from '../io.ts';
import { checkRedisAddress } from '../redis.ts';
import { examineDatabase, examineJournal, findDestination } from './environment.ts';
import { examinePublicUrl, examineSources, examineTls } from './exposure.ts';
import type { DoctorFinding } from './finding.ts';
import { examineRedis } from './redis.ts';
import { examinePackages } from './packages.ts';

/**
 * Runs the command and resolves to the exit code: 0 when nothing is wrong, else 1. Rejects with `bad-option` (or the error
 * of `parseArgs`) for a mistake in the arguments.
 */
export async function runDoctor(argv: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  if (values.help === true) {
    io.stdout.write(HELP);
    return 0;
  }
  const app = resolve(values.app ?? '.');
  const journal = resolve(app, values.journal ?? '.lastchunk');
  const relay = {
    isNeeded: values.relay === true,
    schema: values.schema,
    isDurable: values.durable === true,
  };
  if (!relay.isNeeded && (relay.schema !== undefined || relay.isDurable)) {
    throw bad('`--schema` and `--durable` are for the tables of the relay: give `--relay` too');
  }
  const find = relay.isNeeded ? neededDatabase : databaseIn;
  const database = find(values['database-url'], io.env);
  const publicUrl = values['public-url'];
  if (publicUrl !== undefined && !/^https?:\/\/[^/]/.test(publicUrl)) {
    throw bad('`--public-url` must be an address that starts with http:// or https://');
  }
  const redisUrl = values['redis-url'];
  if (redisUrl !== undefined) checkRedisAddress(redisUrl);
  else if (values['redis-prefix'] !== undefined) {
    throw bad('`--redis-prefix` goes with `--redis-url`');
  }
  const paths = values['public-path'] ?? [];
  if (publicUrl === undefined && paths.length > 0) {
    throw bad('`--public-path` is asked for at `--public-url`: give that too');
  }
  const findings = [
    ...examinePackages(app, process.versions.node),
    ...(values['no-journal'] === true ? [] : examineJournal(journal, values.ephemeral === true)),
    ...examineSources(app),
    ...examineTls(findDestination(app, database)),
    ...(await examineDatabase({ app, database, table: values.table, relay })),
    ...(redisUrl === undefined
      ? []
      : await examineRedis({
          app,
          url: redisUrl,
          prefix: values['redis-prefix'],
          isAlone: values['no-journal'] === true,
        })),
    ...(publicUrl === undefined ? [] : await examinePublicUrl(publicUrl, paths)),
  ];
  const wrongCount = findings.filter(({ level }) => level === 'wrong').length;
  io.stdout.write(
    values.json === true ? asJson(findings, wrongCount) : asText(findings, wrongCount),
  );
  return wrongCount === 0 ? 0 : 1;
}

function asText(findings: readonly DoctorFinding[], wrongCount: number): string {
  const lines = findings.map(({ level, says, fix }) => `${level.padEnd(5)}  ${says}. ${fix}.\n`);
  const verdict = wrongCount === 0 ? 'nothing is wrong' : `${wrongCount} wrong`;
  return `${lines.join('')}${verdict}\n`;
}

function asJson(findings: readonly DoctorFinding[], wrongCount: number): string {
  return `${JSON.stringify({ ok: wrongCount === 0, findings }, null, 2)}\n`;
}

const OPTIONS = {
  app: { type: 'string' },
  journal: { type: 'string' },
  'no-journal': { type: 'boolean' },
  ephemeral: { type: 'boolean' },
  'database-url': { type: 'string' },
  'public-url': { type: 'string' },
  'public-path': { type: 'string', multiple: true },
  table: { type: 'string' },
  relay: { type: 'boolean' },
  schema: { type: 'string' },
  durable: { type: 'boolean' },
  'redis-url': { type: 'string' },
  'redis-prefix': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk doctor [options]

Finds what would fail without an error: incompatible copies of the OpenTelemetry API, versions that do not fit together,
a journal on a file system that does not last or that others can write, a database without its tables or without TLS,
metrics and health that anybody can read. One line for each finding, with what to do. Exit code 1 if something is wrong.
Run it as the same user as the app.

  --app PATH          the app's directory (default: .)
  --journal PATH      the journal's directory (default: .lastchunk in the app's directory)
  --no-journal        the app has none
  --ephemeral         the journal's directory is known not to outlive the container
  --database-url URL  the database (default: DATABASE_URL, else PGHOST and the like)
  --public-url URL    the address by which clients reach the app: asks it for metrics and health as anybody could
  --public-path PATH  a further path to ask for there, such as /internal/metrics; may be given more than once
  --table NAME        table or schema.table (default: lastchunk_messages)
  --relay             the app has postgresRelay(): its tables must exist. Without this option they are examined if they exist
  --schema NAME       with --relay: the schema they are in
  --durable           with --relay: the tables must survive a crash of the database
  --redis-url URL     the Redis or Valkey of redisRelay(), one server; asked by the app's ioredis or redis
  --redis-prefix NAME its option prefix (default: lastchunk)
  --json              { ok, findings: [{ level, check, says, fix }] }
  -h, --help          this text
`;
