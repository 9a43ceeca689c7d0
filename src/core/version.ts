/** The version in package.json, which a test compares: instrumentation scopes and `build_info` carry it. */
export const VERSION = '0.1.0';

/** The repository in package.json, without `git+` and `.git`; the same test compares it. Runbooks are read there by default. */
export const REPOSITORY = 'https://github.com/lastchunk/lastchunk';
