/** A real PgBouncer in front of a test cluster, where the program is installed. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { waitUntil } from './wait.ts';

/** A running pooler. */
export interface PgBouncer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Whether the program is installed. */
export function hasPgBouncer(): boolean {
  return spawnSync('pgbouncer', ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** Starts a pooler in transaction mode, with fewer connections to the server than the guard has to the pooler. */
export async function startPgBouncer(serverPort: number): Promise<PgBouncer> {
  const port = await freePort();
  // Not below the suite's directory, because PgBouncer does not run as root and reads this as another user.
  const directory = mkdtempSync(join(tmpdir(), 'lastchunk-bouncer-'));
  chmodSync(directory, 0o755);
  const users = join(directory, 'users.txt');
  const config = join(directory, 'pgbouncer.ini');
  writeFileSync(users, '"postgres" ""\n');
  writeFileSync(config, configuration(serverPort, port, users));
  const asRoot = process.getuid?.() === 0;
  const args = asRoot ? ['-u', 'nobody', config] : [config];
  const child = spawn('pgbouncer', args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  await waitUntil('PgBouncer listens', () => {
    if (child.exitCode !== null) throw new Error(`pgbouncer ended with ${child.exitCode}`);
    return accepts(port);
  });
  return {
    port,
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function configuration(serverPort: number, port: number, users: string): string {
  return `[databases]
* = host=127.0.0.1 port=${serverPort} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = transaction
default_pool_size = 2
server_login_retry = 1
`;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
