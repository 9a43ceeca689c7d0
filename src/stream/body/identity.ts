/**
 * Whose message a stream is: the app's word for it, never a reason not to save. The option `message` is asked when the
 * stream begins, because the journal needs a name for what it keeps, and once more when the message is settled if it named
 * no conversation: an app may know it only by then. `identify()` says it by hand.
 */
import { v7 } from 'uuid';
import { bad, optionGroup, refuseUnknown, show } from '../../core/options.ts';
import type { Response, RoutedRequest } from '../response/exchange.ts';
import type { MessageIdentity, StreamSettings } from '../settings.ts';
import { isObject, isThenable } from '../../core/values.ts';

/** An id for a stream or a message: a UUIDv7 (RFC 9562), which sorts by the time it was made. */
export function newId(): string {
  return v7();
}

/** Whose message it is. */
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
  /** Fixed from the first question on: it is in a header, and in the journal. */
  readonly id: string;
  conversationId: string | null;
  role: string;
  metadata: Readonly<Record<string, unknown>> | null;
  readonly #ask: () => unknown;
  /** What was wrong with the first answer. */
  #trouble: unknown;

  /** Asks `message` now. It is the option of the guard, undefined where the app gave none. */
  constructor(message: StreamSettings['message'], req: RoutedRequest, res: Response) {
    this.#ask = () => message?.(req, res);
    const { id, conversationId, role, metadata } = message === undefined ? {} : this.#fields();
    this.id = isName(id) ? id : newId();
    this.conversationId = isName(conversationId) ? conversationId : null;
    this.role = isName(role) ? role : 'assistant';
    this.metadata = isObject(metadata) ? { ...metadata } : null;
  }

  /** The message is about to be handed over. Returns what is wrong with `message`, once, if it names no conversation now either. */
  askAgain(): unknown {
    if (this.#trouble === undefined) return undefined;
    this.#trouble = undefined;
    if (this.conversationId !== null) return undefined;
    this.#take(this.#fields());
    const trouble: unknown = this.#trouble;
    this.#trouble = undefined;
    return trouble;
  }

  /** The app says it by hand. Throws `bad-option` for a field of the wrong type. */
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
    this.#take(fields);
  }

  #take({ conversationId, role, metadata }: Record<string, unknown>): void {
    if (isName(conversationId)) this.conversationId = conversationId;
    if (isName(role)) this.role = role;
    if (isObject(metadata)) this.metadata = { ...metadata };
  }

  /** Asks; what the app throws, or does not say, is remembered as trouble. */
  #fields(): Record<string, unknown> {
    try {
      const given = this.#ask();
      if (isThenable(given)) {
        given.then(undefined, () => {
          // A rejection is already reported as what it is: an answer that came too late.
        });
        throw new TypeError('message() returned a promise; it must answer at once');
      }
      if (!isObject(given)) throw new TypeError('message() returned no object');
      const fields: Record<string, unknown> = { ...given };
      // Copied here, because a getter of the app's may throw.
      if (isObject(fields['metadata'])) fields['metadata'] = { ...fields['metadata'] };
      if (!isName(fields['conversationId'])) {
        this.#trouble = new TypeError(
          'message() named no conversation: `conversationId` must be a string',
        );
      }
      return fields;
    } catch (error) {
      this.#trouble = error ?? new TypeError('message() threw nothing');
      return {};
    }
  }
}

/** Ids are opaque: any string that is not empty will do, and the store makes it storable. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
