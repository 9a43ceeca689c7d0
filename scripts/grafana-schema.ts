/**
 * Makes test/slo/dashboards/grafana.schema.json: a strict JSON schema of Grafana's classic dashboards, from the types in
 * @grafana/schema (Apache-2.0), without their comments. To be run by hand after an update of that package; a test says
 * when. The generator is fetched for this call and is no dependency: `tsx scripts/grafana-schema.ts`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const GENERATOR = 'ts-json-schema-generator@2.4.0';
const TYPES = 'node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen.d.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const args = ['--path', TYPES, '--type', 'Dashboard', '--no-type-check', '--jsDoc', 'none'];
const made = execFileSync('npx', ['--yes', GENERATOR, ...args], { cwd: root, encoding: 'utf8' });
const types = readFileSync(`${root}/${TYPES}`);
// What every JSON schema is.
const schema = JSON.parse(made) as Record<string, unknown>;
const origin = {
  $comment: `Made by scripts/grafana-schema.ts with ${GENERATOR} from ${TYPES}.`,
  $id: `sha256-${createHash('sha256').update(types).digest('hex')}`,
};
const text = JSON.stringify({ ...origin, ...schema });
writeFileSync(`${root}/test/slo/dashboards/grafana.schema.json`, `${text}\n`);
