/**
 * `lastchunk probe`: opens streams on a running app, ends each in another way in which a client can, and checks what was kept. It needs
 * only the URLs of the app, so it can check any endpoint, with or without a guard.
 */
import { parseArgs } from 'node:util';
import { bad, show } from '../../core/options.ts';
import { FORMAT_NAMES } from '../../formats/index.ts';
import { databaseIn } from '../database.ts';
import type { Io } from '../io.ts';
import { runCanary } from './canary.ts';
import { checkPlaceholders, type History, httpHistory, sqlHistory } from './history.ts';
import { allKept, type Finding, type Plan, probeRound, report } from './round.ts';
import { EXIT_MODES, type ExitMode } from './visit.ts';

/**
 * Runs the command and resolves to the exit code: 0 when everything that was received was kept, 1 when something was lost, late, wrong or
 * could not be judged. Rejects with `bad-option` (or the error of `parseArgs`) for a mistake in the arguments.
 */
export async function runProbe(argv: readonly string[], io: Io): Promise<number> {
  const parsed = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const { values, positionals } = parsed;
  if (values.help === true) {
    io.stdout.write(HELP);
    return 0;
  }
  const intervalS = number('--interval', values.interval, 1, 86_400);
  const metricsPort = number('--metrics-port', values['metrics-port'], 0, 65_535);
  const rounds = number('--rounds', values.rounds, 1, 1_000);
  if (intervalS === undefined && metricsPort !== undefined) {
    throw bad('`--metrics-port` needs `--interval`: one run has no metrics');
  }
  const plan = planOf(values, positionals, io);
  try {
    if (intervalS !== undefined) {
      const metricsHost = values['metrics-host'] ?? '127.0.0.1';
      const options = { intervalMs: intervalS * 1000, metricsPort, metricsHost };
      return (await runCanary(plan, options, io)) ? 0 : 1;
    }
    const findings: Finding[] = [];
    for (let round = 0; round < (rounds ?? 1); round += 1) {
      findings.push(...(await probeRound(plan)));
    }
    io.stdout.write(report(findings));
    return allKept(findings) ? 0 : 1;
  } finally {
    await plan.history.close();
  }
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

function planOf(values: Values, positionals: readonly string[], io: Io): Plan {
  const [given, ...others] = positionals;
  if (given === undefined || others.length > 0) throw bad('say which URL to probe, one of them');
  const url = checkUrl('the URL', given);
  const { body } = values;
  const headers = headersOf(
    [...(values.header ?? []), ...fromEnvironment(values['header-env'] ?? [], io)],
    body,
  );
  const asking = [url, body ?? '', ...Object.values(headers)].join('\n');
  return {
    asking: {
      url,
      method: values.method ?? (body === undefined ? 'GET' : 'POST'),
      headers,
      body,
      timeoutMs: (number('--timeout', values.timeout, 1, 3_600) ?? 120) * 1000,
      format: formatOf(values.format),
      stallMs: (number('--stall', values.stall, 0, 3_600) ?? 3) * 1000,
    },
    exitModes: exitModesOf(values.ways),
    waitMs: (number('--wait', values.wait, 0, 3_600) ?? 30) * 1000,
    history: historyOf(values, { asking, headers }, io),
  };
}

function historyOf(
  values: Values,
  { asking, headers }: { asking: string; headers: Readonly<Record<string, string>> },
  io: Io,
): History {
  const { history, sql, table } = values;
  if (history !== undefined) {
    if (sql !== undefined) throw bad('`--history` and `--sql` are two answers to one question');
    const url = checkUrl('`--history`', history);
    checkPlaceholders(asking, url);
    return httpHistory(url, withoutBody(headers));
  }
  const database = databaseIn(values['database-url'], io.env);
  if (database === undefined) {
    throw bad(
      'say where to look: `--history URL`, `--database-url URL`, or DATABASE_URL, or PGHOST and the like',
    );
  }
  checkPlaceholders(asking, sql);
  return sqlHistory({ database, sql, table });
}

function exitModesOf(list: string | undefined): readonly ExitMode[] {
  if (list === undefined) return EXIT_MODES;
  return list.split(',').map((name) => {
    const mode = EXIT_MODES.find((known) => known === name.trim());
    if (mode === undefined) {
      throw bad(`\`--ways\` takes ${EXIT_MODES.join(', ')}, not ${show(name)}`);
    }
    return mode;
  });
}

function formatOf(name = 'auto'): string {
  if (FORMAT_NAMES.includes(name)) return name;
  throw bad(`\`--format\` takes ${FORMAT_NAMES.join(', ')}, not ${show(name)}`);
}

/** Headers given as `Name: VARIABLE`, so that no token is in the command line. */
function fromEnvironment(given: readonly string[], io: Io): readonly string[] {
  return given.map((line) => {
    const [, name, variable] = /^([^:]+):\s*([A-Za-z_][A-Za-z0-9_]*)$/.exec(line) ?? [];
    const value = variable === undefined ? undefined : io.env[variable];
    if (name === undefined || variable === undefined) {
      throw bad("`--header-env` must be 'Name: VARIABLE'");
    }
    if (value === undefined) throw bad(`\`--header-env\`: ${variable} is not set`);
    return `${name}: ${value}`;
  });
}

function headersOf(given: readonly string[], body: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (body !== undefined)
    headers['content-type'] = isJson(body) ? 'application/json' : 'text/plain';
  for (const line of given) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(line) ?? [];
    // The value is not shown: it may contain a token.
    if (name === undefined || value === undefined) throw bad("`--header` must be 'Name: value'");
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** The headers for the history: the same, but without `content-type`, because it is a GET. */
function withoutBody(headers: Readonly<Record<string, string>>): Record<string, string> {
  const { 'content-type': _type, ...others } = headers;
  return others;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Not JSON: sent as text.
    return false;
  }
}

function checkUrl(what: string, text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw bad(`${what} must begin with http:// or https://`);
}

function number(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw bad(`\`${name}\` must be a whole number from ${min} to ${max}, not ${show(text)}`);
}

const OPTIONS = {
  method: { type: 'string' },
  header: { type: 'string', multiple: true },
  body: { type: 'string' },
  'header-env': { type: 'string', multiple: true },
  format: { type: 'string' },
  history: { type: 'string' },
  'database-url': { type: 'string' },
  table: { type: 'string' },
  sql: { type: 'string' },
  ways: { type: 'string' },
  rounds: { type: 'string' },
  wait: { type: 'string' },
  timeout: { type: 'string' },
  stall: { type: 'string' },
  interval: { type: 'string' },
  'metrics-port': { type: 'string' },
  'metrics-host': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk probe URL [options]

Opens streams on a running app, leaves each in another way, and asks what was kept. A stream is kept when one
row says what was seen of it: its text, and in text or events every string of four or more characters. Every
stream costs one answer of the model.

  close          closes the connection at the first text
  reset          resets it at the first text
  stop-reading   reads nothing more after the first text, and resets later
  last-frame     closes at the frame that says that the answer is over, and asks at once
  complete       reads to the end, and asks at once
  gzip           asks for a compressed answer, and closes at the first text

{id} in URL, headers and body stands for a text that is new for each stream, {message} for the header
X-Message-Id of its answer.

  --method NAME       default: POST with a body, else GET
  --header 'N: V'     may be given more than once; sent to the history too
  --header-env 'N: V' the same, with the value of the environment variable V
  --body TEXT         sent as JSON if it is JSON
  --history URL       where the app gives a conversation or a message; must hold {id} or {message}. What stands
                      there as said by a user is no answer
  --database-url URL  in place of a history: the database (default: DATABASE_URL, else PGHOST and the like)
  --sql QUERY         gives the stored texts; {id} and {message} are parameters. Default: the rows of
                      lastchunk's table with this message id or conversation {id}
  --table NAME        table or schema.table (default: lastchunk_messages)
  --format NAME       how last-frame knows the last frame (default: auto)
  --ways LIST         of the above, with commas (default: all)
  --rounds N          streams for each way (default: 1)
  --wait S            how long a message may take to be kept (default: 30 seconds); longer than your answers
                      take, where the handler goes on when its client has left
  --timeout S         longest visit (default: 120 seconds)
  --stall S           how long stop-reading keeps its connection (default: 3 seconds)
  --interval S        goes on until SIGTERM or Ctrl-C, with a round every so many seconds
  --metrics-port N    with --interval: serves /metrics for Prometheus
  --metrics-host H    address of /metrics (default: 127.0.0.1)
  -h, --help          this text

The exit code is 0 when all was kept, 1 when a stream was lost, late (not there when a client that had the last
frame asked at once), wrong (the row says something else) or failed (nothing to judge), and 2 for a mistake in
the call.
`;
