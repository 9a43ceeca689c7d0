/** Notes that are true of more than one handler. */
export const HANGS =
  'Does not notice that the provider has closed the connection, and waits: set `idleTimeoutMs`.';

export const UI_STREAM =
  'If the provider breaks off, it ends the response normally and then rejects: return its promise. Otherwise only the missing finish frame shows the failure.';

export const TEXT_STREAM =
  'If the provider breaks off, it ends the text normally and then rejects: return its promise, because plain text has no finish marker that would show the failure.';
