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
