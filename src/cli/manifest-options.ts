/** The options of `lastchunk rules` and `lastchunk dashboards` for the metadata of a Kubernetes object. */
import { bad, show } from '../core/options.ts';
import type { ManifestPlace } from '../slo/manifests.ts';

/** For `parseArgs`. */
export const MANIFEST_OPTIONS = {
  format: { type: 'string' },
  name: { type: 'string' },
  namespace: { type: 'string' },
  labels: { type: 'string' },
} as const;

/** The values that `parseArgs` returns. */
export type ManifestFlags = { readonly [K in keyof typeof MANIFEST_OPTIONS]?: string };

/** The lines of `--help` after that of `--format`. `format` is the format that these options need; `name` says what `--name` sets. */
export function manifestHelp(format: string, name: string): string {
  return `\
      --name NAME       with ${format}: ${name} (default: lastchunk)
      --namespace NAME  with ${format}: the namespace (default: none, where it is applied)
      --labels K=V,…    with ${format}: further labels, as release=prometheus`;
}

/**
 * The metadata of the object; `undefined` unless the chosen format is `format`, which creates an object. Throws `bad-option`, which names
 * the flag, for a value that Kubernetes would refuse, and for a flag without effect.
 */
export function manifestPlaceOf(flags: ManifestFlags, format: string): ManifestPlace | undefined {
  const { name, namespace, labels } = flags;
  if (flags.format !== format) {
    for (const [flag, value] of Object.entries({ name, namespace, labels })) {
      if (value !== undefined) throw bad(`\`--${flag}\` needs \`--format ${format}\``);
    }
    return undefined;
  }
  return {
    name: name === undefined ? 'lastchunk' : objectName('--name', name),
    namespace: namespace === undefined ? undefined : objectName('--namespace', namespace),
    labels: labels === undefined ? {} : labelsOf(labels),
  };
}

/** A label of RFC 1123, which is a valid name for every kind of object. */
function objectName(flag: string, text: string): string {
  if (/^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/.test(text)) return text;
  const what = 'a name of Kubernetes (up to 63 small letters, digits and -, no - at an end)';
  throw bad(`\`${flag}\` must be ${what}, not ${show(text)}`);
}

function labelsOf(text: string): Readonly<Record<string, string>> {
  const labels = new Map<string, string>();
  for (const pair of text.split(',')) {
    const [key = '', value, ...more] = pair.split('=');
    if (value === undefined || more.length > 0 || !isKey(key) || !isValue(value)) {
      const what = 'labels of Kubernetes, as release=prometheus,team=chat';
      throw bad(`\`--labels\` must be ${what}, not ${show(pair)}`);
    }
    if (labels.has(key)) throw bad(`\`--labels\` must name ${show(key)} once`);
    labels.set(key, value);
  }
  return Object.fromEntries(labels);
}

/** The key of a Kubernetes label: a name, optionally after a domain and a slash. */
function isKey(key: string): boolean {
  const [name = '', domain, ...more] = key.split('/').toReversed();
  if (more.length > 0 || name === '' || !isValue(name)) return false;
  return domain === undefined || (domain.length <= 253 && DOMAIN.test(domain));
}

const isValue = (value: string): boolean => value === '' || LABEL_WORD.test(value);

const LABEL_WORD = /^[a-z\d](?:[\w.-]{0,61}[a-z\d])?$/i;
const DOMAIN = /^[a-z\d](?:[a-z\d-]*[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]*[a-z\d])?)*$/;
