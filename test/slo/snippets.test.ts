/** The snippets of docs/slo.md for other tools: their queries are ones that Prometheus can read, of series that exist. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse, stringify } from 'yaml';
import { isObject } from '../../src/core/values.ts';
import { METRICS } from '../../src/core/names/index.ts';
import { ROOT } from '../support/imports.ts';
import { findPromtools } from './rules/promtool.ts';

const [, section = ''] = readFileSync(join(ROOT, 'docs/slo.md'), 'utf8').split(
  '## Sloth, Pyrra, OpenSLO',
);
const SNIPPETS = [...(section.split('\n## ')[0] ?? '').matchAll(/```yaml\n(.*?)```/gs)].map(
  ([, text = '']): unknown => parse(text),
);
const QUERIES = SNIPPETS.map((snippet) =>
  stringsIn(snippet).filter((text) => text.includes('lastchunk_')),
);

function stringsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return isObject(value) ? Object.values(value).flatMap(stringsIn) : [];
}

describe('a snippet for another tool', () => {
  it('exists for three of them, each with its errors and its total', () => {
    expect(QUERIES.map((queries) => queries.length)).toEqual([2, 2, 2]);
  });

  it('names existing series, and counts what the rules count', () => {
    const known: readonly string[] = Object.values(METRICS).map(({ prometheus }) => prometheus);
    const rules = readFileSync(join(ROOT, 'alerts/lastchunk.rules.yml'), 'utf8');
    for (const query of QUERIES.flat()) {
      for (const [selector, name] of query.matchAll(/(lastchunk_\w+)(?:\{[^}]*\})?/g)) {
        expect(known).toContain(name);
        expect(rules).toContain(selector);
      }
    }
  });

  it.each(findPromtools())('is valid for promtool $version', ({ path }) => {
    const directory = mkdtempSync(join(tmpdir(), 'lastchunk-snippets-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const rules = QUERIES.flat().map((query, index) => ({
      record: `snippet:${index}`,
      expr: query.replaceAll('{{.window}}', '5m'),
    }));
    const file = join(directory, 'rules.yml');
    writeFileSync(file, stringify({ groups: [{ name: 'snippets', rules }] }));
    const { status, stderr } = spawnSync(path, ['check', 'rules', file], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
