/**
 * The clients of `ioredis` (also `iovalkey`) and `redis` (node-redis), known by their shape and never imported. A relay takes a
 * connection of its own from the app's client: same address, same credentials, but nothing that waits in a queue while the
 * engine is away, because what is told late is told twice.
 */
import { bad, show } from '../core/options.ts';
import { isObject } from '../core/values.ts';

/**
 * A client of `ioredis` 5 or `redis` 4 and later, of one server, a cluster or (`ioredis`) sentinels. It is only duplicated: it
 * need not be connected, and is never closed.
 */
export interface RedisClient {
  duplicate(...given: never[]): object;
}

/** What a command is made of. */
export type RedisArgument = string | Buffer;

/** One connection, or those of a cluster. */
export interface RedisLink {
  /** Whether a command can be sent now. */
  readonly isUsable: boolean;
  /** Resolves when commands can be sent; rejects with what the driver says. */
  open(): Promise<unknown>;
  /** Sends a command; `key` is the one by which a cluster finds its node. Texts come back as bytes. */
  send(key: string, command: readonly RedisArgument[]): Promise<unknown>;
  /** Closes it at once: commands that wait for an answer reject. */
  drop(): void;
}

/** Opens a link of its own beside the app's client. `onError` gets what the driver meets between commands. */
export type MakeLink = (onError: (error: unknown) => void) => RedisLink;

/** How to make links; throws `bad-option` for what is no such client. */
export function linksOf(client: unknown, connectTimeoutMs: number): MakeLink {
  if (isIoredis(client)) return (onError) => new IoredisLink(client, connectTimeoutMs, onError);
  if (isNodeRedis(client)) return (onError) => new NodeRedisLink(client, connectTimeoutMs, onError);
  const hint = isObject(client) && 'sendCommand' in client ? ' (redis before 4 has none)' : '';
  throw bad(
    `\`client\` must be a client of ioredis 5 or redis 4 and later that has \`duplicate\`${hint}, not ${show(client)}`,
  );
}

interface Emitter {
  on(event: 'error', listener: (error: unknown) => void): unknown;
}

/** The part of `ioredis` that is used. */
interface Ioredis extends Emitter {
  readonly status: string;
  readonly isCluster?: boolean;
  connect(): Promise<unknown>;
  disconnect(): void;
  callBuffer(name: string, ...args: readonly RedisArgument[]): Promise<unknown>;
  duplicate(...given: readonly object[]): Ioredis;
}

/** The part of `redis` that is used. */
interface NodeRedis extends Emitter {
  readonly isReady?: boolean;
  readonly isOpen: boolean;
  readonly options?: { readonly socket?: object };
  connect(): Promise<unknown>;
  /** 5 and later. */
  destroy?(): void;
  disconnect(): unknown;
  sendCommand(...given: readonly unknown[]): Promise<unknown>;
  duplicate(given?: object): NodeRedis;
}

function isIoredis(value: unknown): value is Ioredis {
  return hasMethods(value, ['callBuffer', 'duplicate', 'connect', 'disconnect']);
}

function isNodeRedis(value: unknown): value is NodeRedis {
  return hasMethods(value, ['sendCommand', 'duplicate', 'connect', 'disconnect']);
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (!isObject(value)) return false;
  return names.every((name) => typeof Reflect.get(value, name) === 'function');
}

class IoredisLink implements RedisLink {
  readonly #client: Ioredis;

  constructor(app: Ioredis, connectTimeoutMs: number, onError: (error: unknown) => void) {
    const never = (): null => null;
    const own = {
      lazyConnect: true,
      connectTimeout: connectTimeoutMs,
      // Keys are what `prefix` says, also where the app has a prefix of its own.
      keyPrefix: '',
      retryStrategy: never,
      sentinelRetryStrategy: never,
      clusterRetryStrategy: never,
      autoResendUnfulfilledCommands: false,
      enableAutoPipelining: false,
      showFriendlyErrorStack: false,
      readOnly: false,
      // Of the nodes of a cluster; a follower takes no writes.
      scaleReads: 'master',
    };
    this.#client = app.isCluster === true ? app.duplicate([], own) : app.duplicate(own);
    this.#client.on('error', onError);
  }

  get isUsable(): boolean {
    return this.#client.status === 'ready';
  }

  open(): Promise<unknown> {
    return this.#client.connect();
  }

  send(_key: string, [name = '', ...args]: readonly RedisArgument[]): Promise<unknown> {
    return this.#client.callBuffer(String(name), ...args);
  }

  drop(): void {
    this.#client.disconnect();
  }
}

/** The type of a bulk string in the protocol, `$`: redis 5 maps it to what is named here. */
const BULK_STRING = 36;
/** Texts as bytes: the first is read by redis 4, the second by 5 and later. */
const AS_BYTES = { returnBuffers: true, typeMapping: { [BULK_STRING]: Buffer } };

class NodeRedisLink implements RedisLink {
  readonly #client: NodeRedis;
  readonly #isCluster: boolean;

  constructor(app: NodeRedis, connectTimeoutMs: number, onError: (error: unknown) => void) {
    this.#isCluster = 'masters' in app;
    const reconnectStrategy = (): Error => new Error('the connection is closed');
    const socket = { ...app.options?.socket, connectTimeout: connectTimeoutMs, reconnectStrategy };
    const own = { socket, disableOfflineQueue: true, legacyMode: false };
    // The options of a cluster's nodes are not ours to read: its duplicate has them all.
    this.#client = this.#isCluster ? app.duplicate() : app.duplicate(own);
    this.#client.on('error', onError);
  }

  get isUsable(): boolean {
    return this.#client.isReady ?? this.#client.isOpen;
  }

  open(): Promise<unknown> {
    return this.#client.connect();
  }

  send(key: string, command: readonly RedisArgument[]): Promise<unknown> {
    return this.#isCluster
      ? this.#client.sendCommand(key, false, command, AS_BYTES)
      : this.#client.sendCommand(command, AS_BYTES);
  }

  drop(): void {
    if (!this.#client.isOpen) return;
    if (this.#client.destroy !== undefined) return this.#client.destroy();
    // Nobody waits for it: what it rejects with is that it was closed already.
    void Promise.resolve(this.#client.disconnect()).catch(() => undefined);
  }
}
