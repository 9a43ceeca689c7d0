/**
 * What a client received, read without the formats of the app's guard: it uses framings and JSON, but no vendor's shapes. Two readers
 * that make the same mistake would agree; so this one looks for every string that came over the wire.
 */
import { isRecord } from '../../core/values.ts';

/** What a body says to a reader that knows nothing of its format. */
export interface Witnessed {
  /** Texts, one of which the stored text must be: for each place in the payloads, what stood there from first to last. */
  readonly texts: readonly string[];
  /** Strings of four or more characters, each of which must be stored somewhere. */
  readonly strings: readonly string[];
  /** A payload says that the answer failed. */
  readonly failed: boolean;
}

/** What a row has of it, as text; `undefined` where the history does not tell. */
export interface Stored {
  readonly text: string;
  /** It was found in a record with `content`, so it is a message, not just any text. */
  readonly isRow?: boolean;
  readonly events?: unknown;
  readonly complete?: boolean | undefined;
  readonly outcome?: string | undefined;
}

/** Shorter strings are found anywhere. */
const MIN_CHARS = 4;
/** Names of members that are not part of the answer with any vendor. */
const PLUMBING =
  /^(?:id|object|model|role|type|event|status|provider|created|index|name|usage|usageMetadata|metrics|metadata|logprobs|p|obfuscation|from|uuid|session)$|(?:_id|Id|_at|At|_reason|Reason|fingerprint|_tier|_duration|Version|uuid)$/;

/** Reads a body as far as it was received. `contentType` is without parameters, in lower case; `isOver` is whether it ended. */
export function witness(body: string, contentType: string, isOver: boolean): Witnessed {
  const payloads = payloadsOf(body, contentType, isOver);
  const parsed = payloads.map(({ data }) => parse(data));
  const isBare = parsed.some(
    (value, at) => value === undefined && !isEnd(payloads[at]?.data ?? ''),
  );
  const places = new Map<string, { readonly values: string[]; hasText: boolean }>();
  const put: Put = (place, value) => {
    const known = places.get(place) ?? { values: [], hasText: false };
    known.values.push(String(value));
    known.hasText ||= typeof value === 'string';
    places.set(place, known);
  };
  for (const [at, { data, event }] of payloads.entries()) {
    const value = parsed[at];
    if (isEnd(data)) continue;
    if (isBare && !isRecord(value)) put('', data);
    else walk(value, `${event}:${kindOf(value)}`, put);
  }
  // Numbers are counters, but where a text has stood too.
  const seen = [...places.values()]
    .filter(({ values, hasText }) => hasText && !isConstant(values, payloads.length))
    .map(({ values }) => values);
  return {
    texts: [...new Set(seen.flatMap(textsOf))].filter((text) => text.trim() !== ''),
    strings: [...new Set(seen.flat())].filter((value) => value.trim().length >= MIN_CHARS),
    failed: parsed.some(saysFailure) || payloads.some(({ event }) => event === 'error'),
  };
}

/** How the visit ended: the body was read to its end, to its finish marker, left before, or broken off by the server. */
export type Ended = 'whole' | 'finished' | 'left' | 'broken';

/** Why the row is not what was seen, in words without any of its text; `undefined` where it is. */
export function objection(seen: Witnessed, row: Stored, ended: Ended): string | undefined {
  const events = row.events === undefined || row.events === null ? '' : JSON.stringify(row.events);
  if (row.text.trim() === '' && events === '') return 'the row is empty';
  const isWhole = ended === 'whole';
  if (row.text.trim() !== '' && !seen.texts.some((text) => agrees(text, row.text, isWhole))) {
    return disagreement(seen, row.text);
  }
  const stored = `${row.text}\n${events}`;
  const lost = seen.strings.filter((value) => !isIn(stored, value)).length;
  if (lost > 0) return `${lost} strings that were seen are in neither text nor events`;
  return wrongEnd(seen, row, ended);
}

/** What the row says of the end, against what the client saw of it. */
function wrongEnd({ failed }: Witnessed, { complete, outcome }: Stored, ended: Ended) {
  const isGood = (ended === 'whole' || ended === 'finished') && !failed;
  if (isGood && complete === false) return 'not complete, although its end was seen';
  if (complete === true && failed) return 'complete, although the answer failed';
  if (complete === true && ended === 'broken') return 'complete, although it was broken off';
  const isOther = outcome !== undefined && outcome !== 'completed';
  return ended === 'whole' && isGood && isOther ? `its outcome is ${outcome}` : undefined;
}

function disagreement({ texts }: Witnessed, stored: string): string {
  const isDoubled = texts.some((text) => stored.trim().startsWith(text.trim()));
  return isDoubled ? 'its text goes on behind what was seen' : 'its text is not what was seen';
}

/** A client that left early has seen the beginning. White space around it is the app's taste. */
function agrees(seen: string, stored: string, isWhole: boolean): boolean {
  const [wanted, kept] = [seen.trim(), stored.trim()];
  return isWhole ? kept === wanted : kept.startsWith(wanted);
}

/** The text itself, or the text as a JSON string. */
function isIn(stored: string, value: string): boolean {
  return stored.includes(value.trim()) || stored.includes(JSON.stringify(value).slice(1, -1));
}

type Put = (place: string, value: string | number) => void;

interface Payload {
  readonly data: string;
  readonly event: string;
}

function payloadsOf(body: string, contentType: string, isOver: boolean): readonly Payload[] {
  const lines = body.replace(/^\ufeff/, '').split(/\r\n|\n|\r/);
  const isComment = lines.every((line) => line === '' || line.startsWith(':'));
  if (isComment || lines.some((line) => /^(?:data|event):/.test(line))) {
    return eventsOf(
      isOver ? [...lines, ''] : lines.slice(0, lines.lastIndexOf('', lines.length - 2) + 1),
    );
  }
  const written = (isOver ? lines : lines.slice(0, -1)).filter((line) => line.trim() !== '');
  // The AI SDK's lines before version 5 begin with a code.
  const coded = written.map((line) => /^([0-9a-k]):(["[{].*)$/.exec(line));
  if (coded.length > 0 && coded.every((match) => match !== null)) {
    return coded.map((match) => ({ event: match?.[1] ?? '', data: match?.[2] ?? '' }));
  }
  const isJson = contentType.includes('json') || written.some((line) => isRecord(parse(line)));
  if (isJson && parse(body) !== undefined) return [{ data: body, event: '' }];
  return isJson ? written.map((data) => ({ data, event: '' })) : [{ data: body, event: '' }];
}

function eventsOf(lines: readonly string[]): readonly Payload[] {
  const payloads: Payload[] = [];
  let data: string[] = [];
  let event = '';
  for (const line of lines) {
    const [, field = '', value = ''] = /^(data|event):? ?(.*)$/s.exec(line) ?? [];
    if (field === 'data') data.push(value);
    if (field === 'event') event = value;
    if (line !== '') continue;
    if (data.length > 0) payloads.push({ data: data.join('\n'), event });
    data = [];
    event = '';
  }
  return payloads;
}

/** Calls `put` for every leaf that may be content, with the names on its way; never a member of the plumbing. */
function walk(value: unknown, place: string, put: Put): void {
  if (typeof value === 'string' || typeof value === 'number') return put(place, value);
  if (Array.isArray(value)) return value.forEach((item) => walk(item, `${place}[]`, put));
  if (!isRecord(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (!PLUMBING.test(key)) walk(inner, `${place}.${key}`, put);
  }
}

/** Two kinds of payload may have the same members. */
function kindOf(value: unknown): string {
  return isRecord(value) ? `${String(value['type'])},${String(value['event'])}` : '';
}

/** Whether a value is the same in each of several payloads, as a session or a model is. */
function isConstant(values: readonly string[], payloads: number): boolean {
  return payloads > 1 && values.length === payloads && new Set(values).size === 1;
}

/** What stood in one place: added up, or its last value where each begins with the one before. */
function textsOf(values: readonly string[]): readonly string[] {
  const told = values.filter((value) => value !== '');
  const last = told.at(-1) ?? '';
  if (told.length < 2) return [last];
  if (told.every((value, at) => value.startsWith(told[at - 1] ?? ''))) return [last];
  const before = told.slice(0, -1).join('');
  return [last === before ? before : before + last];
}

function isEnd(data: string): boolean {
  return /^"?\[(?:DONE|END)\]"?$/i.test(data.trim());
}

function saysFailure(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { error, type } = value;
  if (type === 'error' || value['event'] === 'error') return true;
  return typeof error === 'string' ? error !== '' : isRecord(error) && 'message' in error;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Bare text, or a payload that is not whole.
    return undefined;
  }
}
