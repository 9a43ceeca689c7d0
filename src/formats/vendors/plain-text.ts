/** Plain chunked text: the body is the answer, and its end is the only end. */
import type { BuiltInFormat } from '../format.ts';

/** Plain text. */
export const plainText: BuiltInFormat = {
  name: 'text',
  framing: 'text',
  finishMarker: 'none',
  prefilter: [],
  recognises: () => false,
  terminal: () => false,
  text: (frame) => frame.data,
  carries: (frame) => (frame.data === '' ? 'nothing' : 'content'),
  toolCall: () => false,
  finishReason: () => undefined,
};
