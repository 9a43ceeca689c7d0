/** Clients of models that the Node of this suite is too old for, each under the guard of the packed package. */
import type { Outcome } from '../../src/core/message.ts';
import { TEXT_STREAM, UI_STREAM } from '../handlers/notes.ts';

/** One of them. */
export interface ModelClient {
  /** Its name in `program/clients.mjs`. */
  readonly key: string;
  readonly name: string;
  readonly packages: readonly string[];
  /** The package that is made for Node 22 and later. */
  readonly madeForNode22: string;
  /** How the stream ends when the provider drops the connection. */
  readonly onCut: Outcome;
  /** What its users have to know. */
  readonly note?: string;
}

const AROUND = ['@opentelemetry/api@1.9.1', 'express@5.3.0', 'pg@8.23.1'];
const ALL = ['ai@7.0.173', '@ai-sdk/openai@4.0.118', '@google/genai@3.1.0', ...AROUND];

/** Every one, with one set of packages for all. */
export const MODEL_CLIENTS: readonly ModelClient[] = [
  {
    key: 'ai-ui',
    name: 'AI SDK 7: pipeUIMessageStreamToResponse()',
    packages: ALL,
    madeForNode22: 'ai',
    onCut: 'failed',
    note: UI_STREAM,
  },
  {
    key: 'ai-text',
    name: 'AI SDK 7: pipeTextStreamToResponse()',
    packages: ALL,
    madeForNode22: 'ai',
    onCut: 'failed',
    note: TEXT_STREAM,
  },
  {
    key: 'genai',
    name: '@google/genai 3: generateContentStream()',
    packages: ALL,
    madeForNode22: '@google/genai',
    onCut: 'failed',
  },
];

/** What `program/clients.mjs` prints. */
export interface ClientReport {
  readonly seen: string;
  readonly rows: readonly unknown[];
  readonly versions: Readonly<Record<string, string>>;
}

/** Everything that does not hold; empty when all is well. */
export function judgeClient({ onCut }: ModelClient, report: ClientReport): readonly string[] {
  const wanted = [
    ['1-completed', 'one two', 'completed', true],
    ['2-left', 'one two', 'disconnected', true],
    ['3-kept', 'one', 'disconnected', false],
    ['4-stopped', 'one', 'stopped', false],
    ['5-cut', 'one', onCut, false],
  ].map(([conversation_id, content, outcome, complete]) => ({
    conversation_id,
    content,
    outcome,
    complete,
  }));
  const [is, should] = [JSON.stringify(report.rows), JSON.stringify(wanted)];
  return [
    ...(is === should ? [] : [`rows: ${is}, not ${should}`]),
    ...(report.seen.includes(' two') ? [] : [`the client saw ${JSON.stringify(report.seen)}`]),
  ];
}
