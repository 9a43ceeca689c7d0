/** The declarations under the compilers that people have, with the types of the packages that they have. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Verdict } from './cell.ts';

/** As npm aliases, side by side. */
export const COMPILERS = ['5.9.3', '6.0.3', '7.0.2'] as const;

/** What the consumer is compiled with. */
export const TYPED_PACKAGES = [
  '@opentelemetry/api@1.9.1',
  'express@5.3.0',
  'pg@8.23.1',
  'prom-client@15.1.3',
  '@types/express@5',
  '@types/node@20',
  '@types/pg@8',
  ...COMPILERS.map((version) => `typescript-${version}@npm:typescript@${version}`),
];

const CONSUMER = `
import express, { type Request } from 'express';
import client from 'prom-client';
import { lastchunk, LastchunkError, type GuardOptions, type Message, type MessageStore } from 'lastchunk';
import { postgres, type WriteMessages } from 'lastchunk/postgres';
import { prometheus } from 'lastchunk/prometheus';

const write: WriteMessages = async (db, messages) => {
  for (const { id, text } of messages) await db.query('INSERT INTO m VALUES ($1, $2)', [id, text]);
};
const own: MessageStore = {
  save: async (messages: readonly Message[]) => void messages.map(({ outcome }) => outcome),
  close: async () => undefined,
};
const metrics = prometheus({ client, registry: new client.Registry() });
const keep = lastchunk({ store: own, journal: false, metrics });
const options: GuardOptions<Request> = {
  message: (req) => ({ conversationId: String(req.params['id']) }),
  policy: { disconnected: 'keep' },
};
const app = express();
app.use(keep.observe());
app.post('/chat/:id', keep.guard(options), (_req, res) => {
  const signal: AbortSignal | undefined = keep.stream(res)?.signal;
  res.end(String(signal?.aborted));
});
app.delete('/streams/:streamId', keep.stopHandler({ authorize: (req: Request) => req.secure }));
app.get('/metrics', metrics.handler());
app.use(keep.errorHandler());
try {
  postgres({ connectionString: 'postgres://localhost/x', write });
} catch (error) {
  if (error instanceof LastchunkError && error.code === 'missing-peer') void keep.close();
}
// A wrong option has to be an error.
// @ts-expect-error -- it is called disconnected
keep.guard({ policy: { gone: 'keep' } });
`;

const FLAGS = [
  '--noEmit',
  '--strict',
  '--module',
  'nodenext',
  '--target',
  'es2022',
  '--types',
  'node',
];

/** Compiles the consumer as an ES module and as CommonJS, with the declarations checked too. Never rejects. */
export async function checkTypes(folder: string, version: string): Promise<Verdict> {
  const versions = { typescript: version };
  const files = [`consumer-${version}.mts`, `consumer-${version}.cts`];
  for (const file of files) await writeFile(join(folder, file), CONSUMER);
  const compiler = join(folder, 'node_modules', `typescript-${version}`);
  const manifest = await readFile(join(compiler, 'package.json'), 'utf8');
  if (!manifest.includes(`"${version}"`)) return { versions, wrong: ['another compiler is there'] };
  const args = [
    join(compiler, 'bin/tsc'),
    ...FLAGS,
    '--skipLibCheck',
    'false',
    '--esModuleInterop',
  ];
  try {
    await promisify(execFile)(process.execPath, [...args, ...files], { cwd: folder });
    return { versions, wrong: [] };
  } catch (error) {
    // A compiler says what is wrong on its output.
    const { stdout = '', message } = error as Error & { readonly stdout?: string };
    return { versions, wrong: [stdout.trim().split('\n').slice(0, 5).join('; ') || message] };
  }
}
