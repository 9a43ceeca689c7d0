/**
 * Checks the version of Node. The main entry points import this first: an older Node lacks functions that lastchunk needs, and would fail
 * later with an unclear error. Throws where Node is too old.
 */
const OLDEST = { major: 20, minor: 19 };

/** The sentence for a Node of that version, such as `18.20.8`; `undefined` where it is new enough. */
export function tooOld(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isOld = major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor);
  if (!isOld) return undefined;
  return `lastchunk needs Node ${OLDEST.major}.${OLDEST.minor} or later, and this is ${version}: install a newer Node`;
}

const words = tooOld(process.versions.node);
if (words !== undefined) throw new Error(words);
