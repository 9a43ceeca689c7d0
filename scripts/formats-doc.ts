/** The tables of docs/formats.md: the formats, from the registry, and the streams that are tested, from the corpus. */
import { BUILT_INS } from '../src/formats/registry.ts';
import type { BuiltInFormat } from '../src/formats/format.ts';
import { FIXTURES } from '../test/formats/corpus/fixture.ts';

/** Descriptions that the code does not contain: how a format is recognised, and what ends its streams. */
const WORDS: Readonly<Record<string, readonly [known: string, marker: string]>> = {
  openai: [
    '`choices` whose items have a `delta`, a `message` or a `text`',
    'a `finish_reason`; `tool_calls` only where nothing follows; `[DONE]`',
  ],
  'ai-sdk': ['the types of the AI SDK, each with the member that belongs to it', '`finish`'],
  anthropic: ['`message_start`, `content_block_delta` and similar types', '`message_stop`'],
  'openai-responses': [
    'the types of the Responses API',
    '`response.completed`, `response.incomplete`',
  ],
  gemini: ['`candidates`, `promptFeedback`', 'a `finishReason`'],
  ollama: ['`done` beside `message` or `response`', '`"done": true`'],
  'ai-sdk-data': ['lines of a code and JSON, such as `0:"Hello"`', '`d:`'],
  sse: [
    '`data:` lines of an unknown format',
    '`[DONE]`, `"done": true`, an event `end`, and others',
  ],
  ndjson: ['JSON lines or elements of an unknown format', '`"done": true`, and others'],
  text: ['everything else', 'none'],
};

const WITHOUT: Readonly<Record<BuiltInFormat['finishMarker'], string>> = {
  needed: '`truncated`',
  accepted: '`completed`',
  none: '`completed`',
};

/** Replaces the text between the marks of each table. */
export function formatsDoc(page: string): string {
  return between(between(page, 'formats', formatTable()), 'corpus', corpusTable());
}

function between(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/formats.md has no place for ${name}`);
  return `${page.slice(0, from + begin.length)}\n\n${content}\n\n${page.slice(to)}`;
}

function formatTable(): string {
  const rows = BUILT_INS.map(({ name, finishMarker }) => {
    const words = WORDS[name];
    if (words === undefined) throw new Error(`scripts/formats-doc.ts has no words for ${name}`);
    return [`\`${name}\``, ...words, WITHOUT[finishMarker]];
  });
  return table(['format', 'recognised by', 'finish marker', 'an end without it'], rows);
}

function corpusTable(): string {
  const rows = FIXTURES.map(({ server, source, row }) => [
    server,
    row === undefined ? 'no row' : `\`${row.outcome}\``,
    source.split(', ', 1)[0] ?? '',
  ]);
  return table(['stream', 'outcome', 'made from'], rows);
}

/** With padded columns, as the formatter of the project writes them. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...others] = cells;
  const rule = widths.map((width) => '-'.repeat(width));
  return [line(first), line(rule), ...others.map(line)].join('\n');
}
