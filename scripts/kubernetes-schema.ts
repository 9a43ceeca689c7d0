/**
 * Makes test/deploy/kubernetes.schema.json: a strict JSON schema of the kinds of Kubernetes objects that are shipped or
 * printed, from the types of kubernetes-models and @kubernetes-models/prometheus-operator (MIT, made from the OpenAPI
 * documents of Kubernetes and of Prometheus's operator), without their comments. To be run by hand, with newer versions
 * here: `tsx scripts/kubernetes-schema.ts`. All three packages are fetched for this call and are no dependencies.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODELS = ['kubernetes-models@5.1.0', '@kubernetes-models/prometheus-operator@6.0.0'];
const GENERATOR = 'ts-json-schema-generator@2.4.0';
const OPERATOR = '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
const KINDS: Readonly<Record<string, string>> = {
  ConfigMap: 'kubernetes-models/v1',
  Deployment: 'kubernetes-models/apps/v1',
  NetworkPolicy: 'kubernetes-models/networking.k8s.io/v1',
  PodDisruptionBudget: 'kubernetes-models/policy/v1',
  PrometheusRule: OPERATOR,
  Service: 'kubernetes-models/v1',
  ServiceMonitor: OPERATOR,
  StatefulSet: 'kubernetes-models/apps/v1',
};

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'lastchunk-schema-'));
try {
  writeFileSync(join(scratch, 'package.json'), '{ "private": true, "type": "module" }\n');
  const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...MODELS, GENERATOR];
  execFileSync('npm', install, { cwd: scratch, stdio: ['ignore', 'ignore', 'inherit'] });
  const kinds = Object.entries(KINDS);
  const imports = kinds.map(([kind, from]) => `import type { I${kind} } from '${from}/${kind}';\n`);
  const members = kinds.map(([kind]) => `${kind}: I${kind};`).join(' ');
  const entry = `${imports.join('')}export interface Kinds { ${members} }\n`;
  writeFileSync(join(scratch, 'kinds.ts'), entry);
  const compilerOptions = { module: 'nodenext', target: 'es2022', strict: true, types: [] };
  const project = JSON.stringify({ compilerOptions, files: ['kinds.ts'] });
  writeFileSync(join(scratch, 'tsconfig.json'), project);
  const files = ['--path', 'kinds.ts', '--tsconfig', 'tsconfig.json', '--type', 'Kinds'];
  const args = ['--no', '--', 'ts-json-schema-generator', ...files, '--no-type-check'];
  const options = { cwd: scratch, encoding: 'utf8' } as const;
  const made = execFileSync('npx', [...args, '--jsDoc', 'none'], options);
  // What every JSON schema is.
  const schema = JSON.parse(made) as Record<string, unknown>;
  const $comment = `Made by scripts/kubernetes-schema.ts with ${GENERATOR} from ${MODELS.join(' and ')}.`;
  const text = JSON.stringify({ $comment, ...schema });
  writeFileSync(join(root, 'test/deploy/kubernetes.schema.json'), `${text}\n`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
