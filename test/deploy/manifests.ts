/** The manifests that are shipped, and what the schemas of Kubernetes say of one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../support/imports.ts';

/** An object of Kubernetes, as far as every kind has it. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: unknown;
}

const SHIPPED = join(ROOT, 'deploy/kubernetes');

// Made by scripts/kubernetes-schema.ts; its one type has a property of each kind.
const schema = JSON.parse(
  readFileSync(join(ROOT, 'test/deploy/kubernetes.schema.json'), 'utf8'),
) as { readonly definitions: { readonly Kinds: { readonly properties: object } } };
const ajv = new Ajv({ allErrors: true, strict: false, schemas: { kubernetes: schema } });

/** The documents of a YAML text, read as Kubernetes reads them. Throws for a mistake or a warning of the YAML. */
export function readManifests(text: string): readonly Manifest[] {
  const documents = parseAllDocuments(text, { version: '1.1' });
  return documents.map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    // The schema looks at the form.
    return document.toJS() as Manifest;
  });
}

/** All that are shipped, with the file that each is in. */
export function shippedManifests(): readonly {
  readonly file: string;
  readonly manifest: Manifest;
}[] {
  return readdirSync(SHIPPED).flatMap((file) =>
    readManifests(readFileSync(join(SHIPPED, file), 'utf8')).map((manifest) => ({
      file,
      manifest,
    })),
  );
}

/** What is wrong with one: fields that are unknown or missing, values of another kind or outside of their list. */
export function complaints(manifest: Manifest): readonly string[] {
  const { kind } = manifest;
  if (!Object.hasOwn(schema.definitions.Kinds.properties, kind)) return [`unknown kind ${kind}`];
  const validate = ajv.compile({ $ref: `kubernetes#/definitions/Kinds/properties/${kind}` });
  validate(manifest);
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    [instancePath, message, JSON.stringify(params)].join(' '),
  );
}
