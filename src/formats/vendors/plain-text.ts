/** Plain chunked text: the body is the answer, and its end is the only end. */
import { FieldTable } from '../account.ts';
import { defineFormat, type BuiltInFormat } from '../format.ts';

const FIELDS = new FieldTable({});

/** Plain text. */
export const plainText: BuiltInFormat = defineFormat({
  name: 'text',
  framing: 'text',
  finishMarker: 'none',
  prefilter: [],
  recognises: () => false,
  fields: () => FIELDS,
  terminal: () => false,
  texts: (frame) => [frame.data],
  failed: () => false,
  finishReason: () => undefined,
});
