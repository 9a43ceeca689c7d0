/** The combinations that are promised to work, and the packages that make each of them. */

/** One combination. */
export interface Cell {
  readonly node: (typeof NODES)[number];
  readonly sdk: keyof typeof SDKS;
  readonly express: keyof typeof EXPRESSES;
  readonly prometheus: keyof typeof CLIENTS;
}

/** Major versions that npm brings as `node-<platform>-<arch>`. */
export const NODES = ['20', '22', '24', '26'] as const;

/** Each line with the instrumentations that belong to it. */
export const SDKS = {
  '2.x': otel('1.9.1', '0.223.0', ['express@0.71.1', 'pg@0.76.0']),
  '3.x': otel('1.10.0', '0.301.0', ['express@0.72.0', 'pg@0.77.0']),
} as const;

export const EXPRESSES = { '4': ['express@4.22.3'], '5': ['express@5.3.0'] } as const;

export const CLIENTS = {
  'prom-client': ['prom-client@15.1.3'],
  '@prometheus-io/client': ['@prometheus-io/client@0.16.1'],
} as const;

/** The driver of all of them. */
export const PG = 'pg@8.23.1';

/** The lowest version of every peer in package.json. */
export const LOWEST = [
  ...otel('1.9.0', '0.200.0', []),
  'express@4.18.0',
  'pg@8.11.0',
  'prom-client@15.1.0',
];

/** What is made for Node 22 and later only, and by which package's word. */
const NOT_ON_20: Readonly<Record<string, string>> = {
  '3.x': '@opentelemetry/sdk-node',
  '@prometheus-io/client': '@prometheus-io/client',
};

/** Why something cannot be. */
export interface Refusal {
  readonly why: string;
  /** Packages that say so by their `engines`; the run looks whether they still do. */
  readonly by: readonly string[];
}

/** Every combination, in the order of the table. */
export function allCells(): readonly Cell[] {
  return NODES.flatMap((node) =>
    keys(SDKS).flatMap((sdk) =>
      keys(EXPRESSES).flatMap((express) =>
        keys(CLIENTS).map((prometheus) => ({ node, sdk, express, prometheus })),
      ),
    ),
  );
}

/** Why a combination cannot be; `undefined` when it can. */
export function whyNot({ node, sdk, prometheus }: Cell): Refusal | undefined {
  if (node !== '20') return undefined;
  const found = [sdk, prometheus].filter((part) => part in NOT_ON_20);
  if (found.length === 0) return undefined;
  const names = found.map((part) => (part === '3.x' ? 'OpenTelemetry SDK 3.x' : part));
  return madeForNode22(
    names.join(' and '),
    found.map((part) => NOT_ON_20[part] ?? part),
  );
}

/** The one reason that there is. */
export function madeForNode22(what: string, by: readonly string[]): Refusal {
  return { why: `${what}: made for Node 22 and later`, by };
}

/** The packages of a combination, with exact versions. */
export function packagesOf({ sdk, express, prometheus }: Cell): readonly string[] {
  return [...SDKS[sdk], ...EXPRESSES[express], ...CLIENTS[prometheus], PG];
}

/** As people call it. */
export function titleOf({ node, sdk, express, prometheus }: Cell): string {
  return `Node ${node}, OpenTelemetry SDK ${sdk}, Express ${express}, ${prometheus}`;
}

/** The words that `--only` chooses by. */
export function wordsOf({ node, sdk, express, prometheus }: Cell): readonly string[] {
  const client = prometheus === 'prom-client' ? prometheus : 'prometheus-io';
  return [`node${node}`, `sdk${sdk.slice(0, 1)}`, `express${express}`, client];
}

function otel(api: string, sdk: string, instrumentations: readonly string[]): readonly string[] {
  return [
    `@opentelemetry/api@${api}`,
    `@opentelemetry/sdk-node@${sdk}`,
    `@opentelemetry/instrumentation-http@${sdk}`,
    ...instrumentations.map((name) => `@opentelemetry/instrumentation-${name}`),
  ];
}

/** The keys of a literal object. */
export function keys<K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] {
  // A literal object has the keys of its type and no others.
  return Object.keys(table) as K[];
}
