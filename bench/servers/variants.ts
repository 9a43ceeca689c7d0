/** What stands in front of the handler: the one table of what is compared. */
import { type Instrumentation } from '@opentelemetry/instrumentation';
import type { RequestHandler } from 'express';
import { load, type Load } from '../built.ts';
import type { MessageStore } from '../../src/core/message.ts';
import { byHand } from './by-hand.ts';

/** What a variant is made from. */
export interface Ingredients {
  readonly load: Load;
  /** A directory that nobody else writes to. */
  readonly journal: string;
}

/** One way of serving the same handler. */
export interface Variant {
  /** As the results call it. */
  readonly title: string;
  readonly middleware: (from: Ingredients) => Promise<RequestHandler>;
}

/** A store that costs nothing: what is measured is the way to it. */
const NO_STORE: MessageStore = { save: async () => {}, close: async () => {} };

/** In the order in which they are shown; the first is what the others are compared with. */
export const VARIANTS = {
  express: {
    title: 'bare Express',
    middleware: async () => (_req, _res, next) => next(),
  },
  http: {
    title: 'instrumentation-http',
    middleware: async () => {
      const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http');
      await startSdk([new HttpInstrumentation()]);
      return (_req, _res, next) => next();
    },
  },
  bundle: {
    title: 'express-prom-bundle',
    middleware: async () => {
      const { default: bundle } = await import('express-prom-bundle');
      return bundle({ includeMethod: true, includePath: true });
    },
  },
  byHand: {
    title: 'the least by hand',
    middleware: async () => byHand(),
  },
  oneWrite: {
    title: 'the least and one write a tick',
    middleware: async ({ journal }) => byHand(journal),
  },
  observe: {
    title: 'observe()',
    middleware: async ({ load }) => {
      const { lastchunk } = await load('index.js');
      return lastchunk().observe();
    },
  },
  guard: {
    title: 'guard(), no journal',
    middleware: async ({ load }) => {
      const { lastchunk } = await load('index.js');
      return lastchunk({ store: NO_STORE, journal: false }).guard();
    },
  },
  journal: {
    title: 'guard(), journal every tick',
    middleware: async ({ load, journal }) => {
      const { lastchunk } = await load('index.js');
      return lastchunk({ store: NO_STORE, journal }).guard();
    },
  },
  flush20: {
    title: 'guard(), journal every 20 ms',
    middleware: async ({ load, journal }) => {
      const { lastchunk } = await load('index.js');
      return lastchunk({ store: NO_STORE, journal: { path: journal, flushMs: 20 } }).guard();
    },
  },
  everything: {
    title: 'guard(), everything on',
    middleware: async ({ load, journal }) => {
      await startSdk([]);
      const { lastchunk } = await load('index.js');
      const { prometheus } = await load('telemetry/prometheus.js');
      return lastchunk({ store: NO_STORE, journal, metrics: prometheus() }).guard();
    },
  },
} satisfies Readonly<Record<string, Variant>>;

export type VariantName = keyof typeof VARIANTS;

// The keys of the table.
export const VARIANT_NAMES = Object.keys(VARIANTS) as VariantName[];

/** The one that writes a journal as it does by default. */
export const WITH_JOURNAL: VariantName = 'journal';

/** Makes the middleware of one variant. */
export async function middlewareOf(
  name: string | undefined,
  directory: string,
  journal: string,
): Promise<RequestHandler> {
  const variant: Variant | undefined = Object.entries(VARIANTS).find(([key]) => key === name)?.[1];
  if (variant === undefined) throw new Error(`there is no variant ${String(name)}`);
  return variant.middleware({ load: (module) => load(directory, module), journal });
}

/** Spans in batches to the receiver that the environment names; no metrics, no logs. */
export async function startSdk(instrumentations: readonly Instrumentation[]): Promise<void> {
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  new NodeSDK({ instrumentations: [...instrumentations] }).start();
}
