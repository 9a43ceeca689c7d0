/**
 * Which versions of OpenTelemetry's packages can be installed on a Node: from 0.300 on they want Node 22.15 and the API 1.10, and
 * npm ends with ERESOLVE, or installs what does not run, where it is asked for the newest on an older Node.
 */

/** The last line of each that runs on Node 20.19 and 22.12 (their `engines` and `peerDependencies`). */
const LAST_FOR_OLDER_NODES: Readonly<Record<string, string>> = {
  '@opentelemetry/api': '1.9',
  '@opentelemetry/sdk-node': '0.223',
  '@opentelemetry/instrumentation-http': '0.223',
  '@opentelemetry/instrumentation-express': '0.71',
  '@opentelemetry/instrumentation-pg': '0.76',
};

/** The command that installs these packages where `node` (such as `20.19.0`) runs, with the API that goes with them. */
export function installCommand(names: readonly string[], node: string): string {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 15)) return `npm install ${names.join(' ')}`;
  const wanted = new Set(['@opentelemetry/api', ...names]);
  const pinned = [...wanted].map((name) => {
    const last = LAST_FOR_OLDER_NODES[name];
    return last === undefined ? name : `${name}@${last}`;
  });
  return `npm install ${pinned.join(' ')}`;
}
