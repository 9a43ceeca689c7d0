/**
 * Log lines about a journal's directory, each written once: its file system, other users of it, content that is not ours or not
 * for our store, and changes that another process made.
 */
import { isMissing } from '../core/values.ts';
import { describeFileSystem, fileSystemOf, volumeBytes } from './fs.ts';
import type { FileSystem } from './fs.ts';
import type { JournalSettings } from './options.ts';
import { isNotOurs } from './ours.ts';

export interface NoticesOptions {
  readonly settings: JournalSettings;
  readonly log: (level: 'info' | 'warn' | 'error', line: string) => void;
  readonly onError: (error: unknown) => void;
}

export class Notices {
  /** Of the directory; `undefined` before one was opened. */
  fileSystem: FileSystem | undefined;
  readonly #options: NoticesOptions;
  readonly #untrusted = new Set<string>();
  readonly #found = new Set<string>();

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** How many things were found that are not ours. */
  get untrusted(): number {
    return this.#untrusted.size;
  }

  /** A directory was opened. */
  tellFileSystem(): void {
    const { settings, log } = this.#options;
    const { path, maxBytes, ephemeral } = settings;
    const found = fileSystemOf(path);
    if (found === this.fileSystem) return;
    this.fileSystem = found;
    const { level, line } = describeFileSystem(path, found, ephemeral);
    log(level, line);
    const volume = volumeBytes(path);
    if (volume === undefined || volume >= maxBytes) return;
    const sizes = `${volume} of ${maxBytes} bytes`;
    log('warn', `the volume of the journal in ${path} is smaller than \`maxBytes\` (${sizes})`);
  }

  /** `users` journals of this process have this path. */
  tellShared(users: number): void {
    const { log, settings } = this.#options;
    log(
      'warn',
      `${users} instances in this process share the journal in ${settings.path}: each has a \`maxBytes\` of its own`,
    );
  }

  /** Other code or a user deleted or truncated a file or a directory of the journal. */
  tellDamage(path: string, how: 'deleted' | 'truncated'): void {
    const { log } = this.#options;
    log(
      'error',
      `${path} of the journal was ${how} by another program; what can be read of it is written again`,
    );
  }

  /** A look has found this; `where` is a directory's name, or a message's id. */
  tellFound(what: keyof typeof FOUND, where: string): void {
    if (this.#found.has(`${what} ${where}`)) return;
    this.#found.add(`${what} ${where}`);
    const { log, settings } = this.#options;
    const { level, says } = FOUND[what];
    log(level, `in the journal ${settings.path}, ${where} ${says}`);
  }

  /** Files that stood aside were deleted. */
  tellExpired(kind: 'damaged' | 'refused', files: number): void {
    const what = kind === 'damaged' ? 'damaged segments' : 'refused messages';
    this.#options.log('error', `${files} ${what} were too old or too many, and are deleted`);
  }

  /** Something was left alone, because it is not ours or could not be looked at. */
  tellUntrusted(error: unknown): void {
    const { log, onError } = this.#options;
    if (!isNotOurs(error)) {
      // It was removed during the check.
      if (!isMissing(error)) onError(error);
      return;
    }
    const why = error instanceof Error ? error.message : '';
    if (this.#untrusted.has(why)) return;
    this.#untrusted.add(why);
    log('error', `something in the journal is not ours, and is left alone: ${why}`);
  }
}

/** What a look at the journals of dead processes can find. */
const FOUND = {
  foreign: {
    level: 'warn',
    says: 'holds messages for another store, and is left alone; `lastchunk journal list` shows them, `replay --force` saves them into the database that it is given',
  },
  unmarked: {
    level: 'info',
    says: 'does not say for which store its messages are (an older version, or an address that the driver does not tell); they are saved here',
  },
  poisonous: {
    level: 'error',
    says: 'is a message at which two processes died while they read it; it is not read any more, and stays on disk until `lastchunk journal drop`',
  },
} as const;
