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
const SDKS = {
  '2.x': otel('1.9.1', '0.223.0', ['express@0.71.1', 'pg@0.76.0']),
  '3.x': otel('1.10.0', '0.301.0', ['express@0.72.0', 'pg@0.77.0']),
} as const;

const EXPRESSES = { '4': ['express@4.22.3'], '5': ['express@5.3.0'] } as const;

const CLIENTS = {
  'prom-client': ['prom-client@15.1.3'],
  '@prometheus-io/client': ['@prometheus-io/client@0.16.1'],
} as const;

const PG = 'pg@8.23.1';

/** The lowest version of every peer in package.json. */
export const LOWEST = [
  ...otel('1.9.0', '0.200.0', []),
  'express@4.18.0',
  'pg@8.11.0',
  'prom-client@15.1.0',
];

/** The SDK and Prometheus client that are made for Node 22 and later only. */
const NOT_ON_20: readonly string[] = ['3.x', '@prometheus-io/client'];

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
export function whyNot({ node, sdk, prometheus }: Cell): string | undefined {
  if (node !== '20') return undefined;
  const found = [sdk, prometheus].filter((part) => NOT_ON_20.includes(part));
  return found.length === 0 ? undefined : `${found.join(' and ')}: made for Node 22 and later`;
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

function keys<K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] {
  // A literal object has the keys of its type and no others.
  return Object.keys(table) as K[];
}
