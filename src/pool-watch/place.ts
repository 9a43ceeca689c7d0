/** Where a connection was taken: the line of the app that a report can name. */

/** Deep enough for a query builder between the app and its pool. */
const FRAMES = 30;

/** A place that costs little until somebody asks. */
export interface Place {
  /** `file:line` of the first caller outside node_modules; `unknown` where there is none. */
  toString(): string;
}

/** The place that called `below`. */
export function captureHere(below: (...args: never[]) => unknown): Place {
  const { stackTraceLimit } = Error;
  const trace: { stack?: string } = {};
  Error.stackTraceLimit = FRAMES;
  Error.captureStackTrace(trace, below);
  Error.stackTraceLimit = stackTraceLimit;
  let place: string | undefined;
  return {
    toString() {
      // V8 makes the text at the first reading; until then it keeps the frames, and by them what they refer to.
      place ??= firstOutside(trace.stack ?? '');
      delete trace.stack;
      return place;
    },
  };
}

const FRAME = /^ {4}at (?:.*? \()?(?:async )?(?:file:\/\/)?(.+?):(\d+):\d+\)?$/;

function firstOutside(stack: string): string {
  for (const line of stack.split('\n')) {
    const [, file, number] = FRAME.exec(line) ?? [];
    if (file === undefined || number === undefined) continue;
    if (!/[\\/]node_modules[\\/]/.test(file) && !file.startsWith('node:'))
      return `${file}:${number}`;
  }
  return 'unknown';
}
