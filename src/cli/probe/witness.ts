/**
 * Reads what a client received without the formats of the guard: it uses framings and JSON, but no shapes of a vendor. Two readers with the
 * same mistake would agree; so this one looks for every string that was received.
 */
import { isRecord } from '../../core/values.ts';

/** The content of a body, read without its format. */
export interface Witnessed {
  /** Texts, one of which the stored text must equal: for each place in the payloads, its values in order, joined. */
  readonly texts: readonly string[];
  /** Strings of four or more characters, each of which must be stored somewhere. */
  readonly strings: readonly string[];
  /** A payload says that the answer failed. */
  readonly failed: boolean;
}

/** A candidate for the stored message; fields that the history does not have are `undefined`. */
export interface Stored {
  readonly text: string;
  /** True: the text is the `content` of a record, thus a message. */
  readonly isRow?: boolean;
  readonly events?: unknown;
  readonly complete?: boolean | undefined;
  readonly outcome?: string | undefined;
}

/** Shorter strings occur in any text by chance. */
const MIN_CHARS = 4;
/** Names of members that are not part of the answer with any vendor. */
const PLUMBING =
  /^(?:id|object|model|role|type|event|status|provider|created|index|name|usage|usageMetadata|metrics|metadata|logprobs|p|obfuscation|from|uuid|session)$|(?:_id|Id|_at|At|_reason|Reason|fingerprint|_tier|_duration|Version|uuid)$/;

/** Reads a body as far as it was received. `contentType` is without parameters, in lower case; `isOver`: the body has ended. */
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
  // A place that holds only numbers is a counter.
  const seen = [...places.values()]
    .filter(({ values, hasText }) => hasText && !isConstant(values, payloads.length))
    .map(({ values }) => values);
  return {
    texts: [...new Set(seen.flatMap(textsOf))].filter((text) => text.trim() !== ''),
    strings: [...new Set(seen.flat())].filter((value) => value.trim().length >= MIN_CHARS),
    failed: parsed.some(saysFailure) || payloads.some(({ event }) => event === 'error'),
  };
}

/**
 * How the visit ended: the body was read to its end or to its finish marker, the client left before that, or the server broke the
 * connection.
 */
export type Ended = 'whole' | 'finished' | 'left' | 'broken';

/** Why the row does not match what was received, without any of its text; `undefined` if it matches. */
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

/** Compares `complete` and `outcome` of the row with the end that the client received. */
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

/**
 * Whether the texts match: a client that left early has received the beginning. White space around them is ignored, because an app may trim
 * it.
 */
function agrees(seen: string, stored: string, isWhole: boolean): boolean {
  const [wanted, kept] = [seen.trim(), stored.trim()];
  return isWhole ? kept === wanted : kept.startsWith(wanted);
}

/** Whether the stored text contains the value, as it is or as a JSON string. */
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
  // Lines of the AI SDK before version 5 begin with a code.
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

/** Calls `put` for every leaf that may be content, with its path; skips the members that `PLUMBING` matches. */
function walk(value: unknown, place: string, put: Put): void {
  if (typeof value === 'string' || typeof value === 'number') return put(place, value);
  if (Array.isArray(value)) return value.forEach((item) => walk(item, `${place}[]`, put));
  if (!isRecord(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (!PLUMBING.test(key)) walk(inner, `${place}.${key}`, put);
  }
}

/** The kind of a payload, because payloads of two kinds may have the same members. */
function kindOf(value: unknown): string {
  return isRecord(value) ? `${String(value['type'])},${String(value['event'])}` : '';
}

/** Whether every one of several payloads has the same value in a place, as with a session or a model. */
function isConstant(values: readonly string[], payloads: number): boolean {
  return payloads > 1 && values.length === payloads && new Set(values).size === 1;
}

/** The text of one place: its values joined, or the last value where each begins with the one before. */
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
    // Plain text, or an incomplete payload.
    return undefined;
  }
}
