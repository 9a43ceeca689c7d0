/**
 * The identity of a stream's message, as the app names it. A missing or wrong name is never a reason not to save. The option
 * `message` is called when the stream begins, because the journal needs a name for its records, and once more when the message is
 * settled if it named no conversation: an app may learn it only by then. The app can also set it through `identify()`. Names often
 * come from clients: they are bounded and made well-formed here, and only here.
 */
import { v7 } from 'uuid';
import { boundIdentifier, toStorableText } from '../../core/identifiers.ts';
import { describeError, markSayable } from '../../core/error-words.ts';
import { LastchunkError } from '../../core/errors.ts';
import { bad, optionGroup, refuseUnknown, show } from '../../core/options.ts';
import type { Response, RoutedRequest } from '../response/exchange.ts';
import type { MessageIdentity, StreamSettings } from '../settings.ts';
import { isObject, isThenable } from '../../core/values.ts';

/** An id for a stream or a message: a UUIDv7 (RFC 9562), which sorts by the time it was made. */
export function newId(): string {
  return v7();
}

/** The names of a message. */
export interface Identity {
  readonly id: string;
  readonly conversationId: string | null;
  readonly role: string;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/** What `identify()` takes; a field that is left out stays as it is. */
export type LateIdentity = Partial<Pick<MessageIdentity, 'conversationId' | 'role' | 'metadata'>>;

/** The identity of one stream's message. */
export class StreamIdentity implements Identity {
  /** Fixed by the first call of `message`: it is in a header, and in the journal. */
  readonly id: string;
  conversationId: string | null = null;
  role = 'assistant';
  readonly #ask: () => unknown;
  /** What the app gave as metadata. */
  #given: Record<string, unknown> | null = null;
  /** Names that were changed, in full; undefined while all are as they were given. */
  #notes: Record<string, unknown> | undefined;
  /** What the app gave to `identify()`; it takes precedence over the second call of `message`. */
  #byHand: LateIdentity = {};
  /** What was wrong with the last call of `message`. */
  #trouble: unknown;

  /** Calls `message`, the option of the guard, now; it is undefined where the app gave none. */
  constructor(message: StreamSettings['message'], req: RoutedRequest, res: Response) {
    this.#ask = () => message?.(req, res);
    const fields = message === undefined ? NO_FIELDS : this.#fields();
    const { id } = fields;
    this.id = isName(id) ? this.#bound(id, 'fullId') : newId();
    this.#take(fields);
  }

  /** The app's metadata, with lastchunk's notes under the key `lastchunk`. */
  get metadata(): Readonly<Record<string, unknown>> | null {
    if (this.#notes === undefined && this.#given?.['lastchunk'] === undefined) return this.#given;
    const { lastchunk: forged, ...rest } = this.#given ?? NO_FIELDS;
    const given = forged === undefined ? undefined : { given: forged };
    return { ...rest, lastchunk: { ...given, ...this.#notes } };
  }

  /** Called before the message is handed over. Returns what is wrong with `message`, once, if it names no conversation now either. */
  askAgain(): unknown {
    if (this.#trouble === undefined) return undefined;
    this.#trouble = undefined;
    if (this.conversationId !== null) return undefined;
    this.#take({ ...this.#fields(), ...this.#byHand });
    const trouble: unknown = this.#trouble;
    this.#trouble = undefined;
    return trouble;
  }

  /** Takes what the app gave to `identify()`. Throws `bad-option` for a field of the wrong type. */
  identify(given: LateIdentity): void {
    const fields = optionGroup('identify()', given);
    refuseUnknown('identify()', fields, ['conversationId', 'role', 'metadata']);
    for (const name of ['conversationId', 'role'] as const) {
      const value = fields[name];
      if (value !== undefined && !isName(value)) {
        throw bad(
          `\`${name}\` of identify() must be a string that is not empty, not ${show(value)}`,
        );
      }
    }
    const said = Object.entries(fields).filter(([, value]) => value !== undefined);
    this.#byHand = { ...this.#byHand, ...Object.fromEntries(said) };
    this.#take(fields);
  }

  #take({ conversationId, role, metadata }: Readonly<Record<string, unknown>>): void {
    if (isName(conversationId)) {
      this.conversationId = this.#bound(conversationId, 'fullConversationId');
    }
    if (isName(role)) this.role = this.#bound(role, 'fullRole');
    if (isObject(metadata)) this.#given = { ...metadata };
  }

  /** A name that every store, log and header can hold; a name that was changed is kept in full under `note`. */
  #bound(name: string, note: 'fullId' | 'fullConversationId' | 'fullRole'): string {
    const { text } = toStorableText(name);
    const bounded = boundIdentifier(text);
    if (bounded !== name) this.#notes = { ...this.#notes, [note]: text };
    else if (this.#notes !== undefined) this.#forgetNote(note);
    return bounded;
  }

  /** Removes a note: the name that it was about has been replaced. */
  #forgetNote(note: string): void {
    const notes = Object.entries(this.#notes ?? {}).filter(([key]) => key !== note);
    this.#notes = notes.length === 0 ? undefined : Object.fromEntries(notes);
  }

  /** Calls `message`; an error that it throws, or a conversation that it does not name, is kept in `#trouble`. */
  #fields(): Record<string, unknown> {
    try {
      const given = this.#ask();
      if (isThenable(given)) {
        given.then(undefined, () => {
          // The promise itself is reported below; its rejection adds nothing.
        });
        throw markSayable(new TypeError('message() returned a promise; it must answer at once'));
      }
      if (!isObject(given)) throw markSayable(new TypeError('message() returned no object'));
      const fields: Record<string, unknown> = { ...given };
      // Copied here, because a getter of the app's may throw.
      if (isObject(fields['metadata'])) fields['metadata'] = { ...fields['metadata'] };
      if (!isName(fields['conversationId'])) {
        this.#trouble = markSayable(
          new TypeError('message() named no conversation: `conversationId` must be a string'),
        );
      }
      return fields;
    } catch (error) {
      this.#trouble = error ?? new TypeError('message() threw nothing');
      return {};
    }
  }
}

const NO_FIELDS: Readonly<Record<string, unknown>> = {};

/** The error to report for the option `message`: with the route, and a hint if the request has no body. */
export function troubleOf(trouble: unknown, route: string, req: RoutedRequest): unknown {
  const words = describeError(trouble);
  // Its message may contain user data: only its type and line are reported.
  if (words === undefined) return trouble;
  const said = words.startsWith('message()') ? words : `message() threw: ${words}`;
  const mayNeedBody = /of undefined|no conversation/.test(said) && req.method === 'POST';
  const hasBody = 'body' in req && req.body !== undefined;
  const hint =
    mayNeedBody && !hasBody
      ? '; the request has no `body`: put express.json() in front of the guard'
      : '';
  return new LastchunkError('bad-option', `${said} (route ${route})${hint}`, { cause: trouble });
}

/** Ids are opaque: any string that is not empty will do. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
