/**
 * Exposure: whether messages cross a network unencrypted, whether metrics and health can be read without credentials, and whether a
 * client that reads nothing can keep its stream open for ever.
 */
import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../core/values.ts';
import type { Destination } from '../../postgres/connections.ts';
import { type DoctorFinding, noteFinding, wrongFinding } from './finding.ts';

/** Hosts to which a connection crosses no network. */
const LOCAL_HOST = /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|\/.*|)$/i;
/** Examines whether the connection to a database on another machine is encrypted. */
export function examineTls(destination: Destination | undefined): readonly DoctorFinding[] {
  if (destination === undefined || LOCAL_HOST.test(destination.host)) return [];
  const { host, tls } = destination;
  if (tls === true) return [];
  if (tls === 'unverified') {
    const says = `the database on ${host} is reached by TLS, but its certificate is not verified`;
    const fix = 'use `sslmode=verify-full` with the certificate of its authority';
    return [noteFinding('tls', says, fix)];
  }
  const says = `the database on ${host} is reached without TLS: messages and the password cross the network unencrypted`;
  const fix = 'add `?sslmode=verify-full` to the address, or set PGSSLMODE=verify-full';
  return [wrongFinding('tls', says, fix)];
}

/** The usual paths of metrics and health. */
const USUAL_PATHS = ['metrics', 'health', 'health/saves', 'healthz', 'ready', 'readyz', 'livez'];
const ANSWER_WITHIN_MS = 5_000;
/** The part of a body that is examined. */
const LOOKED_AT_BYTES = 256 * 1024;

/**
 * Requests metrics and health without credentials at the address by which clients reach the app: at the usual paths below it, and at
 * `others`. A path in `others` that begins with a slash is a path of the host.
 */
export async function examinePublicUrl(
  address: string,
  others: readonly string[] = [],
): Promise<readonly DoctorFinding[]> {
  const base = new URL(address);
  // Without the credentials and the query, which not every client has.
  base.username = '';
  base.password = '';
  base.search = '';
  const findings: DoctorFinding[] = [];
  const below = (path: string): string => `${base.pathname.replace(/\/$/, '')}/${path}`;
  const given = others.map((path) => (path.startsWith('/') ? path : below(path)));
  const paths = ['', ...USUAL_PATHS.map(below), ...given];
  for (const path of new Set(paths)) {
    const url = new URL(path, base);
    const seen = await ask(url);
    if (seen instanceof Error) {
      const says = `${base.origin} does not answer: what anybody can read there was not checked`;
      return [noteFinding('exposure', says, 'run this command where clients are')];
    }
    const what = kindOf(seen);
    if (what === undefined) continue;
    const says = `${url.origin}${url.pathname} shows ${what} to anybody`;
    findings.push(wrongFinding('exposure', says, FIXES[what]));
  }
  return findings;
}

const FIXES = {
  metrics: 'bind metrics to an address of their own, or ask for authorisation',
  'the details of health': 'give `healthHandler({ details: false })`, or a function of the request',
} as const;

/**
 * The first part of the body, for status 200 or 503 (the status of failing health); '' for another status; the error if there is no answer.
 */
async function ask(url: URL): Promise<string | Error> {
  try {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const answer = await fetch(url, { redirect: 'manual', signal });
    let text = '';
    if (answer.status === 200 || answer.status === 503) {
      const decoder = new TextDecoder();
      for await (const bytes of answer.body ?? []) {
        text += decoder.decode(bytes, { stream: true });
        if (text.length > LOOKED_AT_BYTES) break;
      }
    }
    await answer.body?.cancel().catch(() => {
      // It was read to its end.
    });
    return text;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function kindOf(text: string): keyof typeof FIXES | undefined {
  if (/^lastchunk_\w+/m.test(text)) return 'metrics';
  try {
    const health: unknown = JSON.parse(text);
    const isOurs = isRecord(health) && 'reasons' in health && 'oldestPendingSeconds' in health;
    return isOurs ? 'the details of health' : undefined;
  } catch {
    // Not JSON: a page of the app.
    return undefined;
  }
}

const SOURCE = /\.(?:[cm]?[jt]s|[jt]sx)$/;
const NOT_THE_APPS: ReadonlySet<string> = new Set(['node_modules', 'dist', 'build', 'coverage']);
const FILES_AT_MOST = 5_000;
const FILE_BYTES_AT_MOST = 1024 * 1024;

/** Reports an app that uses `guard()` and nowhere `stallTimeoutMs`: a client that reads nothing may then stay connected. */
export function examineSources(app: string): readonly DoctorFinding[] {
  let guards = 0;
  let files = 0;
  const directories = [app];
  for (let at = directories.pop(); at !== undefined; at = directories.pop()) {
    for (const entry of entriesOf(at)) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && !NOT_THE_APPS.has(entry.name)) directories.push(path);
      } else if (entry.isFile() && SOURCE.test(entry.name) && files < FILES_AT_MOST) {
        files += 1;
        const text = textOf(path);
        if (text.includes('stallTimeoutMs')) return [];
        if (/\bguard\(/.test(text) && text.includes('lastchunk')) guards += 1;
      }
    }
  }
  if (guards === 0) return [];
  const says = `stallTimeoutMs is off in ${guards} ${guards === 1 ? 'file' : 'files'} with guard(): a client that stops reading keeps its stream, and its memory, without limit`;
  return [noteFinding('stall', says, 'for public endpoints: `stallTimeoutMs: 30_000`')];
}

function entriesOf(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    // The directory cannot be read: it is skipped.
    return [];
  }
}

function textOf(path: string): string {
  try {
    return statSync(path).size > FILE_BYTES_AT_MOST ? '' : readFileSync(path, 'utf8');
  } catch {
    // The file cannot be read, or was deleted meanwhile.
    return '';
  }
}
