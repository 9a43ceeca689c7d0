/**
 * Fixtures of the corpus: one file a stream, with a head in YAML, a line `---`, and the body as it goes over the wire.
 * README.md says what the keys of the head mean. A key that is unknown or wrong fails the load.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parse } from 'yaml';
import { OUTCOMES, type Outcome } from '../../../src/core/message.ts';

/** What a client is sent, and the row that has to follow from it. */
export interface Fixture {
  /** The file's name without `.txt`. */
  readonly id: string;
  /** The server or SDK that sends such a stream, with its version or its route. */
  readonly server: string;
  /** The vendor's type or document that the frames were made from. */
  readonly source: string;
  /** Headers of the response. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether `compression()` stands between the guard and the handler. */
  readonly compressed: boolean;
  /** Options of the guard that this route needs in any case. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The body as it is written, encoded. */
  readonly body: Buffer;
  /** The row; `undefined` where none must be made. */
  readonly row: ExpectedRow | undefined;
  /** Names of the formats that read it as `auto` does. */
  readonly formats: readonly string[];
  /** No client may see this before the message is saved; part of the first terminal frame. */
  readonly held: string | undefined;
  /** The cuts that are sent; all by default. */
  readonly cuts: readonly string[];
  /** How often the message may be handed to the store. */
  readonly saves: number;
}

/** What is compared. */
export interface ExpectedRow {
  readonly text: string;
  /** Whether the payloads are stored. */
  readonly events: 'kept' | 'none' | 'either';
  readonly outcome: Outcome;
  readonly complete: boolean | 'either';
  /** The vendor's word for the end; `either` where any or none will do. */
  readonly finish: string | undefined;
  /** What the message adds to `lastchunk_text_unknown_total`. */
  readonly unknown: 0 | 1 | 'either';
}

const KEYS = [
  'server', 'source', 'type', 'encoding', 'gzip', 'behind', 'options', 'lines', 'charset', 'unterminated',
  'pad', 'row', 'text', 'events', 'outcome', 'complete', 'finish', 'unknown', 'formats', 'held', 'saves', 'cuts',
]; // prettier-ignore

function load(id: string, file: string): Fixture {
  const split = file.indexOf('\n---\n');
  if (split < 0) throw new Error(`${id}: no line --- after the head`);
  const head = new Head(id, parse(file.slice(0, split)) as Record<string, unknown>);
  const type = head.text('type', '');
  const encoding = head.text('encoding', '');
  return {
    id,
    server: head.text('server'),
    source: head.text('source'),
    headers: {
      ...(type === '' ? {} : { 'content-type': type }),
      ...(encoding === '' ? {} : { 'content-encoding': encoding }),
    },
    compressed: head.oneOf('behind', ['compression'], 'nothing') === 'compression',
    options: head.record('options'),
    body: encode(head, file.slice(split + '\n---\n'.length)),
    row: head.oneOf('row', ['none'], 'one') === 'none' ? undefined : row(head),
    formats: head.list('formats'),
    cuts: head.list('cuts', ['whole', 'bytes', 'anywhere']),
    held: head.text('held', '') || undefined,
    saves: Number(head.text('saves', '1')),
  };
}

function row(head: Head): ExpectedRow {
  const unknown = head.oneOf('unknown', ['0', '1', 'either'], '0');
  return {
    text: head.text('text'),
    events: head.oneOf('events', ['kept', 'none', 'either']),
    outcome: head.oneOf('outcome', OUTCOMES),
    complete: truth(head.oneOf('complete', ['true', 'false', 'either'])),
    finish: head.text('finish', '') || undefined,
    unknown: unknown === 'either' ? unknown : unknown === '1' ? 1 : 0,
  };
}

function truth(word: 'true' | 'false' | 'either'): boolean | 'either' {
  return word === 'either' ? word : word === 'true';
}

/** Line ends, character set and coding, in the order in which a server applies them. */
function encode(head: Head, written: string): Buffer {
  const bare = head.text('unterminated', '') === 'true' ? written.replace(/\n$/, '') : written;
  const ends = { lf: '\n', crlf: '\r\n', cr: '\r' }[
    head.oneOf('lines', ['lf', 'crlf', 'cr'], 'lf')
  ];
  const pad = 'abcdefgh'.repeat(Number(head.text('pad', '0')) / 8);
  const text = bare.replaceAll('\n', ends).replaceAll('<pad>', pad);
  const bytes = Buffer.from(text, head.oneOf('charset', ['utf8', 'latin1', 'utf16le'], 'utf8'));
  return head.text('gzip', '') === 'true' ? gzipSync(bytes) : bytes;
}

/** The head of one file, whose values are checked as they are read. */
class Head {
  readonly #id: string;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(id: string, values: Readonly<Record<string, unknown>>) {
    this.#id = id;
    this.#values = values;
    const strange = Object.keys(values).filter((key) => !KEYS.includes(key));
    if (strange.length > 0) throw new Error(`${id}: no such key: ${strange.join(', ')}`);
  }

  /** A scalar as text; without a fallback it must be there. */
  text(key: string, fallback?: string): string {
    const value = this.#values[key] ?? fallback;
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw new Error(`${this.#id}: ${key} must be a text`);
  }

  /** One of a few words; the fallback may be one more. */
  oneOf<const Word extends string, const Fallback extends string = Word>(
    key: string,
    words: readonly Word[],
    fallback?: Fallback,
  ): Word | Fallback {
    const value = this.text(key, fallback);
    const known: readonly string[] = fallback === undefined ? words : [...words, fallback];
    if (!known.includes(value))
      throw new Error(`${this.#id}: ${key} must be one of ${known.join(', ')}`);
    // It is in one of the two lists.
    return value as Word | Fallback;
  }

  list(key: string, fallback: readonly string[] = []): readonly string[] {
    const value = this.#values[key] ?? fallback;
    if (Array.isArray(value)) return value.map(String);
    throw new Error(`${this.#id}: ${key} must be a list`);
  }

  record(key: string): Readonly<Record<string, unknown>> {
    const value = this.#values[key] ?? {};
    if (typeof value === 'object' && !Array.isArray(value)) return { ...value };
    throw new Error(`${this.#id}: ${key} must be an object`);
  }
}

const FOLDER = new URL('streams/', import.meta.url);

/** Every fixture, by the name of its file. */
export const FIXTURES: readonly Fixture[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.txt'))
  .toSorted()
  .map((name) => load(name.slice(0, -'.txt'.length), readFileSync(new URL(name, FOLDER), 'utf8')));
