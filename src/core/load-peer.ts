/**
 * Loads packages that the app has installed. lastchunk does not depend on them, because two copies of `pg` or of a metrics client share no
 * state. Uses `require`, not `import`: a static import would end the app with an error that does not tell what to do, and with
 * `await import` an entry point could not be loaded by `require()`. Tracing tools patch packages at `require` too.
 */
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Files from which a package of the app is resolved, in order: this file (as CommonJS only; an ES module in a bundle has no own path), the
 * program that was started, and last the working directory, which may belong to another user.
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
 * throws while it is loaded. Emits a process warning for a package that is found only from the working directory.
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

/** Resolves links: a program is often started by a link in `node_modules/.bin`. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Not a file, as with `node -`: nothing will be found from there, and the next place is tried.
    return path;
  }
}
