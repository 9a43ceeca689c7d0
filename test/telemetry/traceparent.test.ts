import { describe, expect, it } from 'vitest';
import { parseTraceparent, traceparentFrom } from '../../src/telemetry/spans.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('traceparent', () => {
  it('is written and read back', () => {
    const text = traceparentFrom({ traceId: TRACE, spanId: SPAN, traceFlags: 1 });
    expect(text).toBe(`00-${TRACE}-${SPAN}-01`);
    expect(parseTraceparent(text ?? null)).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      traceFlags: 1,
      isRemote: true,
    });
  });

  it('is undefined without a trace', () => {
    const nothing = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 };
    expect(traceparentFrom(nothing)).toBeUndefined();
  });

  it('of a later version is read as far as its fields are known', () => {
    expect(parseTraceparent(`01-${TRACE}-${SPAN}-00-more`)).toMatchObject({ traceId: TRACE });
  });

  it.each([
    null,
    '',
    'nonsense',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01x`,
  ])('%s is invalid', (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });
});
