/** What is generated of the status page: up to date, and whole. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { runbookHtml, statusAssets } from '../../scripts/status-assets.ts';
import { ruleGroups } from '../../src/slo/index.ts';
import { RUNBOOKS, SCRIPT } from '../../src/status/assets.ts';
import { FAILURE_WORDS, REASONS } from '../../src/status/sentences.ts';

it('the assets are those that `npm run generate` writes', async () => {
  expect(await readFile('src/status/assets.ts', 'utf8')).toBe(await statusAssets());
});

it('there is a runbook for every alert, and every sentence names an existing one', () => {
  const alerts = ruleGroups()
    .flatMap(({ rules }) => rules)
    .flatMap((rule) => ('alert' in rule ? [rule.alert] : []));
  const named = [...Object.values(REASONS), ...Object.values(FAILURE_WORDS)].flatMap(
    ({ runbook }) => runbook ?? [],
  );
  expect([...alerts, ...named].filter((name) => !Object.hasOwn(RUNBOOKS, name))).toEqual([]);
  expect(named.filter((name) => !alerts.includes(name))).toEqual([]);
});

it('runbooks link only to each other', () => {
  const links = Object.values(RUNBOOKS).flatMap((html) => [...html.matchAll(/href="([^"]*)"/g)]);
  expect(links.length).toBeGreaterThan(30);
  const names = links.map(([, href = '']) => /^\?runbook=(\w+)$/.exec(href)?.[1]);
  expect(names.filter((name) => name === undefined || !Object.hasOwn(RUNBOOKS, name))).toEqual([]);
});

it('the script never makes markup from text', () => {
  expect(SCRIPT).not.toMatch(
    /innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|^import|^export/m,
  );
});

it('a link to a page outside of the runbooks becomes its path', () => {
  expect(runbookHtml('see [probes](../health.md#probes)')).toBe(
    '<p>see probes (<code>docs/health.md#probes</code>)</p>',
  );
});

it('code is rendered as text', () => {
  expect(runbookHtml('a `<b>` & `c`')).toBe('<p>a <code>&lt;b&gt;</code> &amp; <code>c</code></p>');
});
