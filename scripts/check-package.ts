/**
 * Checks the package as its users get it: packs the tarball, reads it with two linters, and uses it in an
 * empty folder, with every peer at the lowest version that we claim. Prints one line for each check and
 * exits non-zero at the first that fails. Needs a registry for the consumer's packages.
 */
import { execFileSync, spawnSync, type StdioOptions } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installCommand } from '../src/register/install.ts';

/** The lowest that the declarations need, and the newest of the two lines in use. */
const COMPILERS: Readonly<Record<string, string>> = {
  'typescript-5.2': 'typescript-5.2@npm:typescript@5.2.2',
  'typescript-6': 'typescript-6@npm:typescript@6.0.3',
  'typescript-7': 'typescript-7@npm:typescript@7.0.2',
};

const REGISTER = 'lastchunk/register';
const LOWEST_API = '@opentelemetry/api@1.9.0';
const LOWEST_OPTIONAL_PEERS = ['express@4.18.0', 'pg@8.11.0', 'prom-client@15.1.0'];

const PEER_PROGRAM = `
import { postgres } from 'lastchunk/postgres';
import { prometheus } from 'lastchunk/prometheus';
const attempt = async (make) => {
  try {
    await make();
    return 'works';
  } catch (error) {
    return error.code ?? String(error);
  }
};
const store = () => postgres({ connectionString: 'postgres://127.0.0.1/none' }).close();
const metrics = () => prometheus().registry.metrics();
console.log([await attempt(store), await attempt(metrics)].join());
`;

const root = fileURLToPath(new URL('..', import.meta.url));
const consumer = mkdtempSync(join(tmpdir(), 'lastchunk-consumer-'));
try {
  const { name, exports } = readManifest();
  const entries = Object.entries(exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([path]) => path.replace('.', name))
    // Has no names: it is a program that starts the app's SDK, or says what is missing.
    .filter((entry) => entry !== REGISTER);
  const tarball = checkContents();
  checkWithLinters(tarball);
  installWithoutOptionalPeers(tarball);
  checkTypes(entries);
  checkLoads(entries);
  checkProgram();
  checkPeers('missing-peer,missing-peer');
  checkRegister();
  install(LOWEST_OPTIONAL_PEERS);
  checkPeers('works,works');
} finally {
  rmSync(consumer, { recursive: true, force: true });
}

function readManifest(): { name: string; exports: Record<string, unknown> } {
  // True for our own package.json, which the tests read too.
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as ReturnType<
    typeof readManifest
  >;
}

/** Builds, packs, and refuses files that nobody needs at run time. */
function checkContents(): string {
  show('npm', ['run', '--silent', 'build'], root);
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', consumer];
  // What `npm pack --json` documents, for one package.
  const [report] = JSON.parse(run('npm', pack, root)) as [
    { filename: string; files: { path: string }[] },
  ];
  const wanted =
    /^(?:dist\/.+\.(?:js|d\.ts)|dist\/cjs\/package\.json|package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|alerts\/.+\.yml|dashboards\/.+\.json|deploy\/kubernetes\/.+\.yaml|docs\/.+\.md)$/;
  const unwanted = report.files.map(({ path }) => path).filter((path) => !wanted.test(path));
  if (unwanted.length > 0) throw new Error(`not meant for the tarball: ${unwanted.join(', ')}`);
  said(`${report.files.length} files in the tarball`);
  return join(consumer, report.filename);
}

function checkWithLinters(tarball: string): void {
  show('npx', ['--no', '--', 'publint', 'run', tarball, '--strict'], root);
  // The program that starts the SDK is loaded by Node alone, as the ES module it is.
  const attw = ['--exclude-entrypoints', 'register'];
  show('npx', ['--no', '--', 'attw', tarball, ...attw], root);
}

function installWithoutOptionalPeers(tarball: string): void {
  writeFileSync(join(consumer, 'package.json'), '{ "private": true }\n');
  install([tarball, LOWEST_API, '@types/node@20', ...Object.values(COMPILERS)]);
  for (const peer of ['pg', 'prom-client', 'express', '@prometheus-io/client']) {
    if (existsSync(join(consumer, 'node_modules', peer))) {
      throw new Error(`${peer} is optional and was installed`);
    }
  }
  said('installs with no optional peer');
}

/** Our declarations may not lead to a package that is not there, nor need a newer compiler than we say. */
function checkTypes(entries: readonly string[]): void {
  const names = entries.map((_, index) => `entry${index}`);
  const all = `export const all = [${names.join(', ')}];\n`;
  const imports = entries.map((entry, index) => `import * as entry${index} from '${entry}';\n`);
  const requires = entries.map((entry, index) => `import entry${index} = require('${entry}');\n`);
  writeFileSync(join(consumer, 'import.mts'), [...imports, all].join(''));
  writeFileSync(join(consumer, 'require.cts'), [...requires, all].join(''));
  const flags = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
  for (const compiler of Object.keys(COMPILERS)) {
    const tsc = join('node_modules', compiler, 'bin', 'tsc');
    const files = ['import.mts', 'require.cts'];
    show(process.execPath, [tsc, '--noEmit', ...flags, '--skipLibCheck', 'false', ...files]);
    said(`types are sound under ${compiler}`);
  }
}

/** `import` and `require()` give the same names. */
function checkLoads(entries: readonly string[]): void {
  for (const entry of entries) {
    const specifier = JSON.stringify(entry);
    const print = 'console.log(Object.keys(loaded).sort().join())';
    const imported = `const loaded = await import(${specifier}); ${print}`;
    const required = `const loaded = require(${specifier}); ${print}`;
    const asModule = run(process.execPath, ['--input-type=module', '--eval', imported]).trim();
    const asScript = run(process.execPath, ['--input-type=commonjs', '--eval', required]).trim();
    if (asModule === '') throw new Error(`${entry} exports nothing`);
    if (asModule !== asScript) {
      throw new Error(`${entry}: import gives ${asModule}, require() gives ${asScript}`);
    }
    said(`${entry} loads by import and by require(): ${asModule}`);
  }
}

function checkProgram(): void {
  const help = run('npx', ['--no', '--', 'lastchunk', '--help']);
  if (!help.startsWith('usage: lastchunk')) throw new Error(`lastchunk --help said: ${help}`);
  said('npx lastchunk --help works');
}

/** What the entry points that need an optional peer say, without it and with its lowest version. */
function checkPeers(expected: string): void {
  writeFileSync(join(consumer, 'peers.mjs'), PEER_PROGRAM);
  const found = run(process.execPath, ['peers.mjs']).trim();
  if (found !== expected) throw new Error(`postgres() and prometheus(): ${found}, not ${expected}`);
  said(`postgres() and prometheus(): ${found}`);
}

/** Without an SDK the app is not started, and told what to install. */
function checkRegister(): void {
  const flags = ['--import', REGISTER, '--eval', '0'];
  const { stderr } = spawnSync(process.execPath, flags, { cwd: consumer, encoding: 'utf8' });
  const packages = ['@opentelemetry/sdk-node', '@opentelemetry/instrumentation-http'];
  const command = installCommand(packages, process.versions.node);
  if (!stderr.includes(command)) throw new Error(`${REGISTER} said: ${stderr}`);
  said(`${REGISTER} names what it needs`);
}

function install(packages: readonly string[]): void {
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...packages]);
}

function run(program: string, args: readonly string[], cwd = consumer): string {
  const stdio: StdioOptions = ['ignore', 'pipe', 'inherit'];
  return execFileSync(program, args, { cwd, stdio, encoding: 'utf8' });
}

function show(program: string, args: readonly string[], cwd = consumer): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
}

function said(line: string): void {
  process.stdout.write(`${line}\n`);
}
