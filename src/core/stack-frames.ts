/** The line of the app in a stack trace, which a report can name without repeating text of a user. */

/** As V8 writes a frame (v8.dev/docs/stack-trace-api): file and line; the column is left out. */
const FRAME = /^ {4}at (?:.*? \()?(?:async )?(?:file:\/\/)?(.+?):(\d+):\d+\)?$/;

/** `file:line` of the first frame outside of node_modules and of Node; `undefined` where there is none. */
export function firstAppFrame(stack: string): string | undefined {
  for (const line of stack.split('\n')) {
    const [, file, number] = FRAME.exec(line) ?? [];
    if (file === undefined || number === undefined) continue;
    if (!/[\\/]node_modules[\\/]/.test(file) && !file.startsWith('node:'))
      return `${file}:${number}`;
  }
  return undefined;
}
