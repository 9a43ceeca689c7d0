/** Where the guard does less than a reader may expect: a table for the tests and for docs/compatibility.md. */

/** One of them. */
export interface Limit {
  readonly what: string;
  /** Why, and what to do instead. */
  readonly why: string;
}

/** What works, with something that a user has to know. */
export const NOTES = {
  bodyParser: {
    what: "Cancelling the model on `req.on('close')`, behind a body parser",
    why: 'The request emits `close` as soon as its body has been read, while its client is still connected. Node does this with and without a guard: listen to the response, or use the signal of `keep.stream(res)`.',
  },
  wrongOrder: {
    what: '`compression()` behind the guard',
    why: 'The guard gets compressed bytes: the message is stored all the same, but only the end of the response can be held. This is logged once. Put `compression()` first.',
  },
  earlyListener: {
    what: '`close` listeners that were added before the guard',
    why: 'They are called when the client leaves, also under `finish`. Put the guard first.',
  },
  plainLoop: {
    what: 'A plain loop under `keep` or `discard`',
    why: 'It is not notified that its client has left: it runs to its end, and what it writes after that is neither sent nor stored. Check the signal of `keep.stream(res)` in the loop.',
  },
  plainHead: {
    what: 'Plain text behind an explicit `writeHead()`, as the text streams of the AI SDK begin',
    why: 'At its first write the guard sees that it is a stream, but its headers have been set already: it has no `X-Stream-Id` and no `X-Message-Id`. Set `stream: true` in the guard, or send the id of `keep.stream(res)` to the client in another way.',
  },
  json: {
    what: '`application/json` that is sent piece by piece',
    why: 'Otherwise any JSON answer would be a stream: it counts as one only if the guard has an explicit `format`.',
  },
} as const satisfies Readonly<Record<string, Limit>>;

/** What does not work. */
export const LIMITS = {
  rawWrite: {
    what: 'Writing to `res.socket`',
    why: 'Bytes that bypass the response are neither counted nor stored.',
  },
  upgrade: {
    what: 'WebSockets, and everything else after an `upgrade`',
    why: 'There is no response to guard.',
  },
} as const satisfies Readonly<Record<string, Limit>>;
