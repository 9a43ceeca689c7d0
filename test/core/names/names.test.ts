import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { FORMAT_NAMES } from '../../../src/formats/index.ts';
import { metricsDoc } from '../../../scripts/metrics-doc.ts';
import { FORMATS, STORE_ERRORS } from '../../../src/core/names/labels.ts';
import type { Metric } from '../../../src/core/names/metric.ts';
import { ATTRIBUTES, LABEL_ATTRIBUTES, METRICS } from '../../../src/core/names/index.ts';

const metrics: readonly Metric[] = Object.values(METRICS);

/** What dashboards and alerts of users are written against: changing a name here breaks them. */
const CONTRACT = [
  'lastchunk_build_info',
  'lastchunk_capture_bytes',
  'lastchunk_captures_cut_total',
  'lastchunk_chunk_gap_seconds',
  'lastchunk_chunks_total',
  'lastchunk_circuit_open',
  'lastchunk_finish_refused_total',
  'lastchunk_hold_duration_seconds',
  'lastchunk_holds_total',
  'lastchunk_id_conflicts_total',
  'lastchunk_internal_errors_total',
  'lastchunk_journal_bytes',
  'lastchunk_journal_capacity_bytes',
  'lastchunk_journal_corrupt_records_total',
  'lastchunk_journal_degraded',
  'lastchunk_journal_entries',
  'lastchunk_journal_oldest_entry_timestamp_seconds',
  'lastchunk_journal_recovered_total',
  'lastchunk_journal_replayed_total',
  'lastchunk_journal_set_aside',
  'lastchunk_journal_set_aside_expired_total',
  'lastchunk_journal_write_seconds',
  'lastchunk_messages_unnamed_total',
  'lastchunk_noise_total',
  'lastchunk_pool_clients',
  'lastchunk_pool_clients_max',
  'lastchunk_pool_held_across_streams_total',
  'lastchunk_pool_held_long_total',
  'lastchunk_pool_leaked_total',
  'lastchunk_pool_waiting',
  'lastchunk_process_start_timestamp_seconds',
  'lastchunk_relay_bytes_total',
  'lastchunk_relay_dropped_total',
  'lastchunk_relay_flush_duration_seconds',
  'lastchunk_relay_lag_seconds',
  'lastchunk_relay_unconfirmed_total',
  'lastchunk_relay_up',
  'lastchunk_remote_stops_total',
  'lastchunk_resumes_total',
  'lastchunk_save_attempts_total',
  'lastchunk_save_duration_seconds',
  'lastchunk_save_oldest_pending_timestamp_seconds',
  'lastchunk_saves_expected_total',
  'lastchunk_saves_late_total',
  'lastchunk_saves_pending',
  'lastchunk_saves_revised_total',
  'lastchunk_saves_skipped_total',
  'lastchunk_saves_total',
  'lastchunk_store_up',
  'lastchunk_stream_bytes_total',
  'lastchunk_stream_duration_seconds',
  'lastchunk_streams_active',
  'lastchunk_streams_ended_total',
  'lastchunk_streams_finishing',
  'lastchunk_streams_started_total',
  'lastchunk_takeovers_total',
  'lastchunk_text_unknown_total',
  'lastchunk_time_to_first_chunk_seconds',
  'lastchunk_unrecognised_total',
];

describe('the metrics table', () => {
  it('has exactly the Prometheus names that users rely on', () => {
    expect(metrics.map(({ prometheus }) => prometheus).toSorted()).toEqual(CONTRACT);
  });

  it('has OpenTelemetry names without a unit, without total, under one namespace', () => {
    const names = metrics.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) {
      expect(name).toMatch(/^lastchunk(\.[a-z]+(_[a-z]+)*)+$/);
      expect(name).not.toMatch(/total|seconds/);
    }
  });

  it('measures in seconds, bytes or counted things, so that no name ends in a ratio', () => {
    for (const { unit } of metrics) expect(unit).toMatch(/^(?:s|By|\{[a-z]+\})$/);
  });

  it('describes each metric in one sentence on one line', () => {
    for (const { help } of metrics) expect(help).toMatch(/^[A-Z1][^\n|]*\.$/);
  });

  it('has rising buckets, and the bound of the timeliness objective is a bucket of saves', () => {
    for (const metric of metrics) {
      if (metric.type !== 'histogram') continue;
      expect(metric.buckets).toEqual([...new Set(metric.buckets)].toSorted((a, b) => a - b));
    }
    expect(METRICS.saveDuration.buckets).toContain(2.5);
  });

  it('has labels with a bounded number of values', () => {
    for (const { labels } of metrics) {
      for (const [label, values] of Object.entries(labels)) {
        expect(label).toMatch(/^[a-z]+(_[a-z]+)*$/);
        expect('atMost' in values ? values.atMost : values.length).toBeLessThanOrEqual(100);
      }
    }
    expect(STORE_ERRORS.length + 1).toBeLessThanOrEqual(20);
  });

  it('has a label value for each built-in format', () => {
    expect(FORMATS.toSorted()).toEqual([...FORMAT_NAMES, 'custom'].toSorted());
  });
});

it('attributes are dotted names of lastchunk or of the semantic conventions', () => {
  for (const name of [...Object.values(ATTRIBUTES), ...Object.values(LABEL_ATTRIBUTES)]) {
    expect(name).toMatch(
      /^(?:lastchunk(?:\.[a-z_]+)+|http\.route|http\.request\.method|error\.type|gen_ai\.conversation\.id|gen_ai\.response\.finish_reasons|gen_ai\.usage\.(?:in|out)put_tokens|process\.runtime\.version)$/,
    );
  }
});

it('docs/opentelemetry.md names the attribute of every label, by its Prometheus name', async () => {
  const page = await readFile(new URL('../../../docs/opentelemetry.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` +\| `([a-z_.]+)` +\| `(\w+)` +\|/gm)];
  expect(rows.map(([, label, attribute, prometheus]) => [label, attribute, prometheus])).toEqual(
    Object.entries(LABEL_ATTRIBUTES).map(([label, attribute]) => [
      label,
      attribute,
      attribute.replaceAll('.', '_'),
    ]),
  );
});

it('docs/metrics.md is generated from the table', async () => {
  const page = await readFile(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  expect(page).toBe(metricsDoc());
});
