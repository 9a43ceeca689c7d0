/** deploy/kubernetes: each manifest against the schema, all of them against each other and against the defaults of the source. */
import { describe, expect, it } from 'vitest';
import { resolveJournalOptions } from '../../src/journal/options.ts';
import { CLOSE_DEADLINE_MS, DRAIN_SHARE } from '../../src/lastchunk.ts';
import { guardSettings } from '../../src/stream/settings.ts';
import { complaints, readManifests, shippedManifests, type Manifest } from './manifests.ts';

/** What the tests read of a pod; the schema looks at the form. */
interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string; readonly emptyDir: { sizeLimit: string } }[];
}
interface Container {
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: unknown;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}
type Labels = Readonly<Record<string, string>>;
interface Workload {
  readonly replicas: number;
  readonly selector: { readonly matchLabels: Labels };
  readonly serviceName?: string;
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec };
  readonly volumeClaimTemplates?: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { accessModes: string[]; resources: { requests: { storage: string } } };
  }[];
}

/** Between the end of the deadline and the kill: the process has to exit. */
const MARGIN_SECONDS = 15;

const shipped = shippedManifests();

function specOf<T>(kind: string, name = 'chat'): T {
  const found = shipped.find(
    ({ manifest }) => manifest.kind === kind && manifest.metadata.name === name,
  );
  // The schema looks at the form.
  return found?.manifest.spec as T;
}

const workloads = (['Deployment', 'StatefulSet'] as const).map((kind) => {
  const workload = specOf<Workload>(kind);
  const pod = workload.template.spec;
  const [container] = pod.containers;
  const env = new Map(container.env.map(({ name, value }) => [name, value]));
  return { kind, workload, pod, container, env };
});

describe('the schema', () => {
  it.each(shipped)('accepts $manifest.kind in $file', ({ manifest }) => {
    expect(complaints(manifest)).toEqual([]);
  });

  it.each<[broken: string, where: RegExp]>([
    ['kind: Deployment\napiVersion: apps/v1\nspec: {}', /selector.*\n?.*template/],
    ['kind: Service\napiVersion: v2\nspec: {}', /apiVersion/],
    ['kind: Service\napiVersion: v1\nspec: { port: 80 }', /"port"/],
    ['kind: Service\napiVersion: v1\nspec: { type: Public }', /spec\/type/],
    ['kind: Service\napiVersion: v1\nmetadata: { labels: { on: yes } }', /labels/],
    ['kind: PodDisruptionBudget\napiVersion: policy/v1\nspec: { maxUnavailable: [] }', /spec/],
    ['kind: ConfigMap\napiVersion: v1\ndata: { a: 1 }', /data\/a/],
    [
      'kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nspec: { policyTypes: [In] }',
      /types/i,
    ],
    [
      'kind: PrometheusRule\napiVersion: monitoring.coreos.com/v1\nspec: { groups: [{ rules: [] }] }',
      /"name"/,
    ],
    ['kind: ServiceMonitor\napiVersion: monitoring.coreos.com/v1\nspec: {}', /"endpoints"/],
    ['kind: CronJob\napiVersion: batch/v1', /unknown kind/],
  ])('rejects %j', (text, where) => {
    const [manifest] = readManifests(text);
    expect(complaints(manifest as Manifest).join('\n')).toMatch(where);
  });
});

describe.each(workloads)('the pods of the $kind', ({ workload, pod, container, env }) => {
  it('run with the least privileges', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 10_001,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
  });

  it('have a grace period for preStop, the deadline of close(), and the exit', () => {
    const deadlineMs = Number(env.get('CLOSE_DEADLINE_MS'));
    expect(deadlineMs).toBeLessThanOrEqual(CLOSE_DEADLINE_MS.max);
    const { timeoutMs } = guardSettings().finish;
    expect(deadlineMs * DRAIN_SHARE).toBeGreaterThanOrEqual(timeoutMs);
    const preStopSeconds = container.lifecycle.preStop.sleep.seconds;
    const graceSeconds = pod.terminationGracePeriodSeconds;
    expect(graceSeconds).toBe(preStopSeconds + deadlineMs / 1_000 + MARGIN_SECONDS);
    const byDefaultMs = timeoutMs + CLOSE_DEADLINE_MS.fallback;
    expect(graceSeconds).toBeGreaterThanOrEqual(byDefaultMs / 1_000 + MARGIN_SECONDS);
  });

  it('have the journal in a subdirectory of the volume, not in its root', () => {
    const journal = container.volumeMounts.find(({ name }) => name === 'journal');
    expect(env.get('JOURNAL')).toMatch(new RegExp(`^${journal?.mountPath}/[^/]+$`));
    expect(container.volumeMounts).toContainEqual({ name: 'tmp', mountPath: '/tmp' });
    const claims = workload.volumeClaimTemplates?.map(({ metadata }) => metadata.name) ?? [];
    const there = [...pod.volumes.map(({ name }) => name), ...claims];
    expect(there.toSorted()).toEqual(container.volumeMounts.map(({ name }) => name).toSorted());
  });

  it('have a volume larger than the journal can grow', () => {
    const [claim] = workload.volumeClaimTemplates ?? [];
    const volume = pod.volumes.find(({ name }) => name === 'journal');
    const size = claim?.spec.resources.requests.storage ?? volume?.emptyDir.sizeLimit ?? '';
    const maxBytes = resolveJournalOptions('journal')?.maxBytes ?? Number.NaN;
    expect(bytesOf(size)).toBeGreaterThan(1.25 * maxBytes);
  });

  it('are probed for readiness by health, and for liveness by a route that does not depend on it', () => {
    expect(container.readinessProbe.httpGet).toEqual({ path: '/health/saves', port: 'operations' });
    expect(container.livenessProbe.httpGet).toEqual({ path: '/live', port: 'operations' });
    const { periodSeconds, failureThreshold } = container.livenessProbe;
    expect(periodSeconds * failureThreshold).toBeGreaterThanOrEqual(60);
  });

  it('listen on the ports of their environment, request memory and CPU, and have no CPU limit', () => {
    const ports = Object.fromEntries(
      container.ports.map((port) => [port.name, port.containerPort]),
    );
    expect(ports).toEqual({
      http: Number(env.get('PORT')),
      operations: Number(env.get('OPERATIONS_PORT')),
    });
    expect(container.resources.requests).toMatchObject({ cpu: '250m', memory: '512Mi' });
    expect(container.resources.limits).toEqual({ memory: '1Gi' });
  });

  it('are selected by the services, the disruption budget and the network policy', () => {
    const { labels } = workload.template.metadata;
    const selectors = [
      workload.selector.matchLabels,
      specOf<{ selector: Labels }>('Service').selector,
      specOf<{ selector: Labels }>('Service', 'chat-operations').selector,
      specOf<Workload>('PodDisruptionBudget').selector.matchLabels,
      specOf<{ podSelector: { matchLabels: Labels } }>('NetworkPolicy').podSelector.matchLabels,
    ];
    expect(selectors).toEqual(selectors.map(() => labels));
  });
});

interface Ports {
  readonly ports: readonly { readonly name: string; readonly targetPort: string }[];
}

describe('the objects beside the workloads', () => {
  it('expose one port to users and the other to Prometheus', () => {
    const targets = ['chat', 'chat-operations'].map((name) =>
      specOf<Ports>('Service', name).ports.map(({ targetPort }) => targetPort),
    );
    expect(targets).toEqual([['http'], ['operations']]);
  });

  it('let Prometheus find the second service', () => {
    const monitor = specOf<Workload & { endpoints: object[] }>('ServiceMonitor');
    const service = shipped.find(({ manifest }) => manifest.metadata.name === 'chat-operations');
    expect(monitor.selector.matchLabels).toEqual(service?.manifest.metadata.labels);
    const users = shipped.find(
      ({ manifest }) => manifest.kind === 'Service' && manifest.metadata.name === 'chat',
    );
    expect(users?.manifest.metadata.labels).not.toMatchObject(monitor.selector.matchLabels);
    const [port] = specOf<Ports>('Service', 'chat-operations').ports;
    expect(monitor.endpoints).toEqual([{ port: port?.name, path: '/metrics', interval: '15s' }]);
  });

  it('let only the namespace of monitoring reach metrics, health and status', () => {
    const policy = specOf<{ policyTypes: string[]; ingress: object[] }>('NetworkPolicy');
    expect(policy.policyTypes).toEqual(['Ingress']);
    const monitoring = { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } };
    expect(policy.ingress).toEqual([
      { ports: [{ port: 'http' }] },
      { from: [{ namespaceSelector: monitoring }], ports: [{ port: 'operations' }] },
    ]);
  });

  it('give each pod of the StatefulSet its own volume, which is never deleted', () => {
    const set = specOf<Workload & { persistentVolumeClaimRetentionPolicy: object }>('StatefulSet');
    const claims = set.volumeClaimTemplates?.map(({ spec }) => spec.accessModes);
    expect(claims).toEqual([['ReadWriteOnce']]);
    const retention = { whenDeleted: 'Retain', whenScaled: 'Retain' };
    expect(set.persistentVolumeClaimRetentionPolicy).toEqual(retention);
    expect(set.serviceName).toBe('chat-operations');
    const { securityContext } = set.template.spec;
    expect(securityContext).toMatchObject({ fsGroupChangePolicy: 'OnRootMismatch' });
    expect(securityContext['fsGroup']).toBe(securityContext['runAsGroup']);
  });

  it('keep the owner and mode that the kubelet gives an emptyDir', () => {
    expect(specOf<Workload>('Deployment').template.spec.securityContext).not.toHaveProperty(
      'fsGroup',
    );
  });
});

/** A quantity in binary units. */
function bytesOf(quantity: string): number {
  const [, number = '', unit = ''] = /^(\d+)(Ki|Mi|Gi)$/.exec(quantity) ?? [];
  return Number(number) * 1_024 ** (['Ki', 'Mi', 'Gi'].indexOf(unit) + 1);
}
