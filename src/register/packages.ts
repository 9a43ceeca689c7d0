/**
 * The app's own OpenTelemetry packages. They are loaded from where the app is, not from where we are: the SDK has to
 * be the one whose instrumentations and API the rest of the app meets.
 */
import { LastchunkError } from '../core/errors.ts';
import { appPlaces, findPeer, loadPeer } from '../core/load-peer.ts';

/** Loads packages of the app. */
export interface AppPackages {
  /** Each package of `needed`, in order. Throws `missing-peer` that names all that are not there. */
  load(needed: readonly string[]): readonly unknown[];
  /** `undefined` when it is not installed. Throws what the package throws when it is loaded. */
  loadOptional(name: string): unknown;
  /** The file that `name` is loaded from. Throws `missing-peer`. */
  locate(name: string): string;
}

/**
 * Looks beside the program that was started, then where it was started, then beside lastchunk itself: for a program
 * that is run by another one (`tsx app.ts`, a process manager) the first is that other one's home.
 */
export function appPackages(program: string | undefined = process.argv[1]): AppPackages {
  const places = [...appPlaces(program), import.meta.url];
  const find = (name: string): string | undefined => findPeer(name, places);
  const loadOptional = (name: string): unknown =>
    find(name) === undefined ? undefined : loadPeer(name, places);
  return {
    loadOptional,
    load(needed) {
      const missing = needed.filter((name) => find(name) === undefined);
      if (missing.length > 0) throw missingPeers(missing);
      return needed.map(loadOptional);
    },
    locate(name) {
      const file = find(name);
      if (file === undefined) throw missingPeers([name]);
      return file;
    },
  };
}

function missingPeers(names: readonly string[]): LastchunkError {
  const list = names.join(' ');
  return new LastchunkError(
    'missing-peer',
    `lastchunk/register needs what is not installed: npm install ${list}`,
  );
}
