/** The public names of `lastchunk`. */
export { LastchunkError } from './errors.ts';
export { lastchunk } from './lastchunk.ts';
