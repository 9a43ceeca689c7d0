import { trace } from '@opentelemetry/api';
import { expect, it } from 'vitest';
import { beginHello, resume } from '../../support/replicas.ts';
import { installTracing } from '../../support/tracing.ts';
import { until } from '../../support/until.ts';

const spans = installTracing();

it.each(['here', 'there'] as const)(
  'a resumed response has a span with a link to that of its stream: %s',
  async (where) => {
    const all = await beginHello();
    const { talk } = all;
    const reader = await resume(all[where], talk.streamId);
    await reader.sees('hello');
    const mine = (name: string) =>
      spans().find(
        (span) =>
          span.name.startsWith(name) && span.attributes['lastchunk.stream.id'] === talk.streamId,
      );
    expect(mine('resume')).toBeUndefined();
    talk.res.end();
    await reader.over();
    const [stream, resumed] = await until('both have ended', () => {
      const found = [mine('stream'), mine('resume')] as const;
      return found.every((span) => span !== undefined) && found;
    });
    expect(resumed?.links.map(({ context }) => context.spanId)).toEqual([
      stream?.spanContext().spanId,
    ]);
    expect(trace.getActiveSpan()).toBeUndefined();
  },
);
