import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ruleGroups } from '../../src/slo/index.ts';
import type { Metric } from '../../src/core/names/metric.ts';
import { REPOSITORY } from '../../src/core/version.ts';
import { METRICS } from '../../src/core/names/index.ts';

const FOLDER = 'docs/runbooks';
const HEADINGS = ['## Meaning', '## Impact', '## Diagnosis', '## Mitigation'];

const rules = ruleGroups().flatMap((group) => group.rules);
const alerts = rules.filter((rule) => 'alert' in rule);
const records = new Set(rules.flatMap((rule) => ('record' in rule ? [rule.record] : [])));
const names = [...new Set(alerts.map(({ alert }) => alert))];

/** Not ours: Prometheus's own, and the client's default metrics of a process. */
const STRANGERS = [
  'process_start_time_seconds',
  'process_resident_memory_bytes',
  'nodejs_eventloop_lag_p99_seconds',
];

/** Labels that every scraped series has, and those of buckets. */
const SCRAPED = ['job', 'instance', 'le'];

/** Whom a severity tells, in the words of the index. */
const TELLS = { critical: 'page', warning: 'ticket', info: 'nobody' } as const;

async function readRunbook(name: string): Promise<string> {
  return readFile(join(FOLDER, `${name}.md`), 'utf8');
}

/** The metrics that a text names, with the labels it selects them by. */
function selectors(text: string): { name: string; labels: { name: string; values: string[] }[] }[] {
  return [...text.matchAll(/(?<![\w:])(lastchunk_[a-z0-9_]+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', inside = '']) => ({
      name,
      labels: [...inside.matchAll(/(\w+)(?:=~|=|!=)"([^"]*)"/g)].map(
        ([, label = '', value = '']) => ({
          name: label,
          values: value.split('|'),
        }),
      ),
    }),
  );
}

/** What is wrong with the metrics that a text names: none of ours, or without such a label or value. */
function wrongIn(text: string): string[] {
  return selectors(text)
    .filter(({ name }) => !OTHER_NAMES.includes(name))
    .flatMap(({ name, labels }) => {
      const metric = Object.values<Metric>(METRICS).find(({ prometheus, type }) =>
        type === 'histogram' ? name === `${prometheus}_bucket` : name === prometheus,
      );
      if (metric === undefined) return [`${name} is no metric`];
      return labels.flatMap((label) => {
        if (SCRAPED.includes(label.name)) return [];
        const allowed = metric.labels[label.name];
        if (allowed === undefined) return [`${name} has no label ${label.name}`];
        if ('atMost' in allowed) return [];
        return label.values
          .filter((value) => !allowed.includes(value))
          .map((value) => `${name}{${label.name}} is never ${value}`);
      });
    });
}

/** Of the database, not of Prometheus; the second is the prefix that a shell command looks for. */
const OTHER_NAMES = ['lastchunk_messages', 'lastchunk_'];

describe('alerts and runbooks', () => {
  it('exist for each other, one by one', async () => {
    const pages = (await readdir(FOLDER)).map((file) => file.replace(/\.md$/, ''));
    expect(pages.toSorted()).toEqual([...names, 'README'].toSorted());
  });

  it('are listed once each, with their meaning and their severity', async () => {
    const index = await readRunbook('README');
    const lines = [
      ...index.matchAll(/^\| (.+?\.) +\| ([\w, ]+?) +\| \[(\w+)\]\((\w+)\.md\) +\|$/gm),
    ];
    expect(lines.map(([, , , name = '']) => name).toSorted()).toEqual(names.toSorted());
    for (const [, , tells, name, file] of lines) {
      const severities = alerts.flatMap(({ alert, labels }) =>
        alert === name ? TELLS[labels.severity] : [],
      );
      expect({ name, tells, file }).toEqual({
        name,
        tells: [...new Set(severities)].toSorted().join(', '),
        file: name,
      });
    }
  });

  it.each(names)('%s has a runbook with all its sections', async (name) => {
    const text = await readRunbook(name);
    expect(text.startsWith(`# ${name}\n`)).toBe(true);
    const headings = text.split('\n').filter((line) => line.startsWith('## '));
    expect(headings).toEqual(HEADINGS);
    const [, diagnosis = ''] = text.split('## Diagnosis');
    expect(diagnosis).toMatch(/```(?:promql|sh|sql)\n/);
  });

  it.each(names)(
    'the runbook of %s names only existing metrics, records, links and severities',
    async (name) => {
      const text = await readRunbook(name);
      expect(wrongIn(text)).toEqual([]);
      const recorded = [...text.matchAll(/job:lastchunk_[\w:]+/g)].map(([record]) => record);
      expect(recorded.filter((record) => !records.has(record))).toEqual([]);
      const links = [...text.matchAll(/\]\((\w+)\.md\)/g)].map(([, link = '']) => link);
      expect(links.filter((link) => !names.includes(link))).toEqual([]);
      const [severities = ''] = /^Severity: .*$/m.exec(text) ?? [];
      const own = alerts.filter(({ alert }) => alert === name).map(({ labels }) => labels.severity);
      expect(own.filter((severity) => !severities.includes(severity))).toEqual([]);
    },
  );
});

describe('rules', () => {
  it('read only existing metrics, labels and values', () => {
    expect(
      rules.flatMap(({ expr }) => wrongIn(expr.replaceAll(/job:lastchunk_[\w:]+/g, ''))),
    ).toEqual([]);
  });

  it('read only records that earlier rules make', () => {
    const made = new Set<string>();
    const early: string[] = [];
    for (const rule of rules) {
      const read = [...rule.expr.matchAll(/job:lastchunk_[\w:]+/g)].map(([record]) => record);
      early.push(...read.filter((record) => !made.has(record)));
      if ('record' in rule) made.add(rule.record);
    }
    expect(early).toEqual([]);
  });

  it('read only known metrics of other programs', () => {
    const words = rules.flatMap(({ expr }) => expr.match(/\b(?:process|nodejs)_\w+/g) ?? []);
    expect(words.filter((word) => !STRANGERS.includes(word))).toEqual([]);
  });

  it.each(alerts)('of $alert have a summary, a severity and a runbook', (alert) => {
    const { summary, description, runbook_url: runbook } = alert.annotations;
    expect(summary).toMatch(/^[A-Z].*\.$/);
    expect(description).toMatch(/\.$/);
    expect(description.length).toBeGreaterThan(summary.length);
    expect(runbook).toBe(`${REPOSITORY}/blob/main/docs/runbooks/${alert.alert}.md`);
    expect(['critical', 'warning', 'info']).toContain(alert.labels.severity);
    expect(alert.alert).toMatch(/^Lastchunk[A-Z]\w+$/);
  });

  it('fire without a delay only for counted single events', () => {
    const atOnce = alerts.filter((alert) => alert.for === undefined).map(({ alert }) => alert);
    expect([...new Set(atOnce)].toSorted()).toEqual([
      'LastchunkCapturesCut',
      'LastchunkFinishRefused',
      'LastchunkHoldsUnconfirmed',
      'LastchunkInstanceRestarting',
      'LastchunkInternalErrors',
      'LastchunkJournalCorrupt',
      'LastchunkMessagesLost',
      'LastchunkPoolHeldAcrossStreams',
      'LastchunkPoolLeaked',
    ]);
  });
});
