/** Whose message a stream is: the app's word for it, asked once, never a reason not to save. */
import { v7 } from 'uuid';
import type { Response, RoutedRequest } from '../response/exchange.ts';
import type { StreamSettings } from '../settings.ts';
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

/** Asks the option `message`. `onError` is told when it throws, returns a promise, or names no conversation. */
export function identityOf(
  settings: StreamSettings,
  req: RoutedRequest,
  res: Response,
  onError: (error: unknown) => void,
): Identity {
  if (settings.message === undefined) return withDefaults({});
  try {
    const given = settings.message(req, res);
    if (isThenable(given)) {
      given.then(undefined, () => {
        // A rejection is already reported as what it is: an answer that came too late.
      });
      throw new TypeError('message() returned a promise; it must answer at once');
    }
    if (!isObject(given)) {
      throw new TypeError('message() returned no object');
    }
    const fields: Record<string, unknown> = { ...given };
    if (!isName(fields['conversationId'])) {
      onError(new TypeError('message() named no conversation: `conversationId` must be a string'));
    }
    return withDefaults(fields);
  } catch (error) {
    onError(error);
    return withDefaults({});
  }
}

function withDefaults(fields: Record<string, unknown>): Identity {
  const { id, conversationId, role, metadata } = fields;
  return {
    id: isName(id) ? id : newId(),
    conversationId: isName(conversationId) ? conversationId : null,
    role: isName(role) ? role : 'assistant',
    metadata: isObject(metadata) ? { ...metadata } : null,
  };
}

/** Ids are opaque: any string that is not empty will do, and the store makes it storable. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
