/** Rules and dashboards as objects of Kubernetes, for the Prometheus Operator and Grafana's sidecar. */
import { stringify } from 'yaml';
import { ruleGroups } from './rules.ts';
import { RULES_HEADER, YAML_FORMAT } from './rules-yaml.ts';
import type { SloOptions } from './settings.ts';

/** Name, namespace and labels of an object. */
export interface ManifestPlace {
  /** `metadata.name`; for dashboards its beginning. */
  readonly name: string;
  /** `metadata.namespace`. Default: none, so that `kubectl apply` chooses it. */
  readonly namespace?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** The rules as a `PrometheusRule` (`monitoring.coreos.com/v1`). Throws `bad-option` for an option outside of its range. */
export function prometheusRule(options: SloOptions, place: ManifestPlace): string {
  const manifest = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: metadataOf(place.name, place),
    spec: { groups: ruleGroups(options) },
  };
  return RULES_HEADER + spelt(manifest);
}

/**
 * A dashboard as a `ConfigMap` with the label by which the sidecar of Grafana's Helm chart finds it. `file` is the name of
 * its file, `json` its content.
 */
export function dashboardConfigMap(file: string, json: string, place: ManifestPlace): string {
  const name = file.replace(/^lastchunk/, () => place.name).replace(/\.json$/, '');
  const labels = { grafana_dashboard: '1', ...place.labels };
  const manifest = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(name, { ...place, labels }),
    data: { [`${name}.json`]: json },
  };
  return spelt(manifest);
}

function metadataOf(name: string, { namespace, labels }: ManifestPlace): object {
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(Object.keys(labels).length > 0 && { labels }),
  };
}

/** Kubernetes reads YAML 1.1, where `on` and `no` without quotes are booleans. */
function spelt(manifest: object): string {
  return stringify(manifest, { ...YAML_FORMAT, version: '1.1', blockQuote: 'literal' });
}
