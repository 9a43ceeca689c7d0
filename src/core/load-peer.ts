/**
 * Loads packages of the app, which are never brought along: two copies of `pg` or of a metrics client know nothing of each
 * other. By `require`, not by `import`: an import at the top would end the app with an error that does not say what to do,
 * and `await import` would make an entry point impossible to `require()`. It also is how tracing tools patch packages.
 */
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Files from which a package of the app is looked for, in order: beside this file (as CommonJS; an ES module in a bundle has
 * no place of its own), beside the program that was started, and last in the working directory, which may be anybody's.
 */
export function appPlaces(program: string | undefined = process.argv[1]): readonly string[] {
  return [
    ...(typeof __filename === 'string' ? [__filename] : []),
    ...(program === undefined ? [] : [join(dirname(realPath(program)), 'app.js')]),
    join(process.cwd(), 'app.js'),
  ];
}

/** The file that a package is loaded from; `undefined` when it is installed in none of the places. */
export function findPeer(name: string, places: readonly string[]): string | undefined {
  return find(name, places)?.file;
}

function find(
  name: string,
  places: readonly string[],
): { readonly file: string; readonly at: number } | undefined {
  for (const [at, place] of places.entries()) {
    try {
      return { file: createRequire(place).resolve(name), at };
    } catch {
      // Not installed there: the next place.
    }
  }
  return undefined;
}

/**
 * The module of a package. Throws Node's `MODULE_NOT_FOUND` when it is installed in none of the places, and what the package
 * throws while it is loaded. A package that only the working directory has is told by a warning of the process.
 */
export function loadPeer(name: string, places: readonly string[] = appPlaces()): unknown {
  const { file, at = 0 } = find(name, places) ?? {};
  const workingDirectory = join(process.cwd(), 'app.js');
  if (file !== undefined && at > 0 && places[at] === workingDirectory) {
    const message = `${name} is installed beside neither the program nor lastchunk: it is loaded from the working directory, ${file}`;
    process.emitWarning(message, { code: 'LASTCHUNK_WORKING_DIRECTORY' });
  }
  return createRequire(file ?? places.at(-1) ?? workingDirectory)(file ?? name);
}

/** A program is often started by a link in `node_modules/.bin`. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Not a file, as with `node -`: then its folder is not there either, and the next place is asked.
    return path;
  }
}
