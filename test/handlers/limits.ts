/** Where the guard does less than a reader may hope: a table for the tests that show it and for the page that says so. */

/** One of them. */
export interface Limit {
  readonly what: string;
  /** Why, and what to do instead. */
  readonly why: string;
}

/** What works, if one thing is known. */
export const NOTES = {
  bodyParser: {
    what: "Cancelling the model on `req.on('close')`, behind a body parser",
    why: 'The request closes as soon as its body has been read, with its client still there. That is how Node is, with and without a guard: listen to the response, or use the signal of `keep.stream(res)`.',
  },
  wrongOrder: {
    what: '`compression()` behind the guard',
    why: 'The guard sees compressed bytes: the message is stored all the same, but only the end of the response can be held. It is said once in the log. Put `compression()` first.',
  },
  earlyListener: {
    what: '`close` listeners that were added before the guard',
    why: 'They hear of the leaving when it happens, also under `finish`. Put the guard first.',
  },
  plainLoop: {
    what: 'A plain loop under `keep` or `discard`',
    why: 'Nothing tells it that its client has left: it goes on to its end, and what it writes then is neither sent nor stored. Let it look at the signal of `keep.stream(res)`.',
  },
  plainHead: {
    what: 'Plain text behind an explicit `writeHead()`, as the text streams of the AI SDK begin',
    why: 'It is known to be a stream at its first write, when its headers are built: it has no `X-Stream-Id` and no `X-Message-Id`. Say so in the guard (`stream: true`), or tell the client the id of `keep.stream(res)`.',
  },
  json: {
    what: '`application/json` over time',
    why: 'Any JSON answer would be a stream: it counts as one only where the guard has an explicit `format`.',
  },
} as const satisfies Readonly<Record<string, Limit>>;

/** What does not work. */
export const LIMITS = {
  rawWrite: {
    what: 'Writing to `res.socket`',
    why: 'What goes around the response is neither counted nor stored.',
  },
  upgrade: {
    what: 'WebSockets, and everything else behind an `upgrade`',
    why: 'There is no response to guard.',
  },
} as const satisfies Readonly<Record<string, Limit>>;
