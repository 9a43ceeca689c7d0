import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { beforeAll, expect, it } from 'vitest';
import { ROOT } from '../../support/imports.ts';
import { readDashboards, type Dashboard } from './files.ts';

const HERE = join(ROOT, 'test/slo/dashboards');
const TYPES = join(ROOT, 'node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen.d.ts');

/** What the Prometheus data source reads of an annotation, and the type of all data sources does not have. */
const OF_PROMETHEUS = ['expr', 'titleFormat', 'textFormat'];

let schema: { readonly $id: string };
let complaints: (dashboard: unknown) => string[];
beforeAll(async () => {
  // Made by scripts/grafana-schema.ts, which puts the id in.
  schema = JSON.parse(await readFile(join(HERE, 'grafana.schema.json'), 'utf8')) as typeof schema;
  const { $id: _, ...rest } = schema;
  const validate = new Ajv({ allErrors: true, strict: false }).compile(rest);
  complaints = (dashboard) => {
    validate(dashboard);
    return (validate.errors ?? [])
      .filter(
        ({ keyword, instancePath, params }) =>
          !(
            keyword === 'additionalProperties' &&
            instancePath.startsWith('/annotations/list/') &&
            OF_PROMETHEUS.includes(String(params['additionalProperty']))
          ),
      )
      .map(({ instancePath, message, params }) =>
        [instancePath, message, JSON.stringify(params)].join(' '),
      );
  };
});

it('the schema is generated from the installed @grafana/schema', async () => {
  const types = await readFile(TYPES);
  expect(schema.$id).toBe(`sha256-${createHash('sha256').update(types).digest('hex')}`);
});

it.each(readDashboards())('$file has only keys that Grafana defines', ({ dashboard }) => {
  expect(complaints(dashboard)).toEqual([]);
});

it('an unknown key, and a value of the wrong kind, are detected', () => {
  const whole: Dashboard | undefined = readDashboards()[0]?.dashboard;
  expect(complaints({ ...whole, colour: 'blue' }).join()).toContain('colour');
  expect(complaints({ ...whole, tags: 'lastchunk' }).join()).toContain('/tags');
});
