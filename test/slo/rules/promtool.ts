/** Runs cases against a rule file by `promtool test rules`, on every promtool that can be found. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { stringify } from 'yaml';
import type { Case } from './case.ts';
import { testFiles } from './test-file.ts';

/** One promtool. */
export interface Promtool {
  readonly path: string;
  /** Such as `2.42.0`. */
  readonly version: string;
}

/** Those in `LASTCHUNK_PROMTOOL` (paths, separated as in PATH), and the one in PATH; one of each version. */
export function findPromtools(): readonly Promtool[] {
  const given = (process.env['LASTCHUNK_PROMTOOL'] ?? '').split(delimiter);
  const found = [...given.filter((path) => path !== ''), 'promtool'].flatMap((path) => {
    const { stdout, stderr, error } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    const version = /version (\d+\.\d+\.\d+)/.exec(`${stdout}${stderr}`)?.[1];
    return error === undefined && version !== undefined ? [{ path, version }] : [];
  });
  const versions = new Map(found.map((promtool) => [promtool.version, promtool]));
  return [...versions.values()].toSorted((a, b) => a.version.localeCompare(b.version));
}

/** What promtool says, or `undefined` when every case is as it should be. */
export function failures(
  promtool: Promtool,
  rules: string,
  cases: readonly Case[],
): Promise<string | undefined> {
  const groups = [...rules.matchAll(/^ {2}- name: (\S+)$/gm)].map(([, name = '']) => name);
  return failuresOf(promtool, rules, testFiles(cases, groups));
}

/** The same for test files as promtool reads them; their `rule_files` is `rules.yml`. */
export async function failuresOf(
  { path }: Promtool,
  rules: string,
  tests: readonly object[],
): Promise<string | undefined> {
  const directory = mkdtempSync(join(tmpdir(), 'lastchunk-rules-'));
  try {
    writeFileSync(join(directory, 'rules.yml'), rules);
    const files = tests.map((file, index) => {
      writeFileSync(join(directory, `test-${index}.yml`), stringify(file, { lineWidth: 0 }));
      return `test-${index}.yml`;
    });
    // It makes much garbage in a short life: collecting it less often halves its time.
    const env = { ...process.env, GOGC: '800' };
    const child = spawn(path, ['test', 'rules', ...files], { cwd: directory, env });
    let said = '';
    const note = (text: string): void => void (said += text);
    child.stdout.setEncoding('utf8').on('data', note);
    child.stderr.setEncoding('utf8').on('data', note);
    const [code] = await once(child, 'close');
    return code === 0 ? undefined : said;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
