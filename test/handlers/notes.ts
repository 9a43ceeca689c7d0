/** What users of a handler have to know, where it is true of more than one. */
export const HANGS = 'Does not notice that the provider is gone, and waits: set `idleTimeoutMs`.';

export const UI_STREAM =
  'Ends the response normally when the provider breaks, and then rejects: return its promise. Without it the missing finish frame tells.';

export const TEXT_STREAM =
  'Ends the text normally when the provider breaks, and then rejects: return its promise, for plain text has no mark of its end that would tell.';
