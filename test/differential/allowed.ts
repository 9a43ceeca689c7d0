/** How a guarded response may differ from a bare one, and why. Every other difference is a fault. */
import type { Difference } from './compare.ts';
import { type Protocol, SMALL_BUFFERS } from './modes.ts';

/** The major version that runs this. */
export const NODE = Number.parseInt(process.versions.node, 10);

export interface AllowedDifference {
  /** What differs, as a sentence for docs/compatibility.md. */
  readonly what: string;
  readonly why: string;
  /** Where; everywhere when it is not given. */
  readonly protocols?: readonly Protocol[];
  /** Major versions that show it; all when it is not given. */
  readonly nodes?: readonly number[];
  /** It depends on timing, so it may not show. */
  readonly isTimed?: true;
  /** The names of the handlers that show it. */
  readonly handlers: RegExp;
  /** Where it is seen; `bare` and `guarded` are then whatever they are. */
  readonly seen: RegExp;
}

const MOMENT = 'The last frame is sent when its message is safe.';
const WAITS =
  'A call that closes a connection or resets a stream waits for the held bytes, so that no answer loses its end.';

export const ALLOWED_DIFFERENCES: readonly AllowedDifference[] = [
  {
    what: 'After its end, `writableFinished`, `writableLength`, `socket`, `destroyed` and `closed` change when the last bytes are sent, not at once.',
    why: MOMENT,
    handlers: /./,
    seen: /^(?:now|later) (?:writableFinished|writableLength|socket|destroyed|closed)$/,
  },
  {
    what: 'The callback of a second `end(callback)` is called at the end, not at once with `ERR_STREAM_ALREADY_FINISHED`.',
    why: MOMENT,
    handlers: /: a second end\(callback\)$/,
    seen: /^(?:events|order of .*)$/,
  },
  {
    what: 'Listeners that are added after the end get `finish` and `close`; on a bare response they would be too late.',
    why: MOMENT,
    handlers: /: listeners$/,
    seen: /^(?:events|order of .*)$/,
  },
  {
    what: 'A stream that is piped into a response after its end is notified of that end; a bare response ignores it.',
    why: MOMENT,
    handlers: /: a pipe into it$/,
    seen: /^(?:events|order of .*|connection)$/,
  },
  {
    what: 'The callback of a second `end(chunk, callback)` in the next tick is not called, as in any later tick.',
    why: 'Whether Node calls it depends on whether the response is closed at that moment.',
    protocols: ['HTTP/1.1', SMALL_BUFFERS],
    handlers: /next tick: a second end\(chunk, callback\)$/,
    seen: /^(?:events|order of .*)$/,
  },
  {
    what: 'A write in the callback of an end emits no `error` event, as in any later tick; Node 26 emits one there.',
    why: 'A heartbeat that writes at that time must not end the process.',
    isTimed: true,
    handlers: /^a write in the callback of end$/,
    seen: /^(?:events|order of .*)$/,
  },
  {
    what: '`req.destroy()` after the end closes the connection after the answer; on a bare response, the request is over by then.',
    why: MOMENT,
    handlers: /: req\.destroy\(\)$/,
    seen: /^(?:connection|events|order of .*)$/,
  },
  {
    what: 'Over TLS a wrong call after the end, in a later tick of the same turn, has the same effect as in a later turn: no `error` event, and `res.destroy()` does nothing.',
    why: 'A bare response over TLS is over one turn later; an app cannot rely on either behaviour.',
    protocols: ['HTTPS'],
    handlers:
      /: (?:a write.*|an empty write|an end of a number|a second end\(.*|res\.destroy\(.*)$/,
    seen: /^(?:connection|events|order of .*)$/,
  },
  {
    what: 'Over HTTP/2 a write, an end with a chunk, `destroy()` or `close(code)` after the end resets a bare stream, whose client loses the answer; a held answer is sent first.',
    why: WAITS,
    protocols: ['HTTP/2'],
    handlers:
      /: (?:a write.*|an empty write|an end of a number|a second end\(.*|res\.destroy\(.*|connection\.(?:destroy|close)\(.*|a pipe into it)$/,
    seen: /^(?:wire|connection|events|order of .*)$/,
  },
  {
    what: 'Over HTTP/2 `writeHead()` in a later turn throws an error, because the head was sent; on a bare stream, which is closed by then, it does nothing.',
    why: MOMENT,
    protocols: ['HTTP/2'],
    handlers: /: a head$/,
    seen: /^later writeHead\(500\)$/,
  },
  {
    what: 'Over HTTP/2 a time-out of the response, of its request or of its stream does not run out while the end is held.',
    why: 'A bare stream is closed by then, or is being closed.',
    protocols: ['HTTP/2'],
    isTimed: true,
    handlers: /: a time-out$|^a time-out of /,
    seen: /^(?:events|order of .*)$/,
  },
  {
    what: 'Over TLS a time-out of a millisecond may run out between the release and the last byte.',
    why: 'A time-out continues when its answer is released, so that a client that reads nothing does not keep the connection open.',
    protocols: ['HTTPS'],
    isTimed: true,
    handlers: /: a time-out$|^a time-out of /,
    seen: /^(?:events|order of .*|connection)$/,
  },
  {
    what: 'Over HTTP/2 an empty write that is followed by an end in a later turn sends nothing.',
    why: 'Node 20 and 26 send bytes of unrelated memory there.',
    protocols: ['HTTP/2'],
    nodes: [20, 26],
    handlers: /^empty writes around a marker$/,
    seen: /^(?:wire|connection|events|order of .*)$/,
  },
  {
    what: 'On Node 22 less is cut off an answer that is ended while it is corked, and its last callback may come later.',
    why: 'Node 22 sends the bytes that are still corked after the terminator of the answer, where no client reads them. With a hold, bytes from before a finish marker are sent as if they were not corked.',
    protocols: ['HTTP/1.1', SMALL_BUFFERS, 'HTTPS'],
    nodes: [22],
    handlers: /^(?:a cork that stays|two corks, one of them taken off)$/,
    seen: /^(?:wire|order of the end)$/,
  },
  {
    what: 'Over HTTP/2 trailers that are added in a turn after the end are still sent.',
    why: MOMENT,
    protocols: ['HTTP/2'],
    handlers: /: trailers$/,
    seen: /^wire$/,
  },
  {
    what: 'Over TLS `writeContinue()` and similar calls, in a later tick of the turn of the end, send nothing; a bare response sends their bytes after its answer.',
    why: 'A client would read those bytes as the next answer. A bare response over TLS is over one turn later.',
    protocols: ['HTTPS'],
    handlers: /(?:next tick|microtask): information before an answer$/,
    seen: /^wire$/,
    isTimed: true,
  },
];

/** The row that covers a difference, if any. */
export function allowanceFor(
  protocol: Protocol,
  handler: string,
  { what }: Difference,
): AllowedDifference | undefined {
  return ALLOWED_DIFFERENCES.find(
    (row) =>
      row.protocols?.includes(protocol) !== false &&
      row.nodes?.includes(NODE) !== false &&
      row.handlers.test(handler) &&
      row.seen.test(what),
  );
}
