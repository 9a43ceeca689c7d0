/** The version in package.json, which a test compares: instrumentation scopes and `build_info` carry it. */
export const VERSION = '0.1.0';
