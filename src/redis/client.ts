/**
 * Adapters for the clients of `ioredis` (also `iovalkey`) and `redis` (node-redis), which are recognised by their methods and never
 * imported. A relay duplicates the app's client: same address, same credentials, but no queue of commands while the server is
 * unavailable, because the relay repeats a failed call itself and a queued command would then run twice.
 */
import { bad, show } from '../core/options.ts';
import { isObject } from '../core/values.ts';

/**
 * A client of `ioredis` 5 or `redis` 4 and later, for one server, a cluster or (`ioredis`) sentinels. The relay only duplicates it: it
 * need not be connected, and the relay never closes it.
 */
export interface RedisClient {
  duplicate(...given: never[]): object;
}

/** An argument of a command. */
export type RedisArgument = string | Buffer;

/** One connection, or the connections to a cluster. */
export interface RedisLink {
  /** Whether a command can be sent now. */
  readonly isUsable: boolean;
  /** Resolves when commands can be sent; rejects with the error of the driver. */
  open(): Promise<unknown>;
  /** Sends a command; a cluster finds the node by `key`. Strings in the reply are buffers. */
  send(key: string, command: readonly RedisArgument[]): Promise<unknown>;
  /** Closes the link at once: commands without an answer reject. */
  drop(): void;
}

/** Creates a link by duplicating the app's client. `onError` gets the `error` events of the driver. */
export type MakeLink = (onError: (error: unknown) => void) => RedisLink;

/** Returns the function that creates links from a client; throws `bad-option` for any other value. */
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
      // The option `prefix` alone decides the keys, also where the app's client has a prefix.
      keyPrefix: '',
      retryStrategy: never,
      sentinelRetryStrategy: never,
      clusterRetryStrategy: never,
      autoResendUnfulfilledCommands: false,
      enableAutoPipelining: false,
      showFriendlyErrorStack: false,
      readOnly: false,
      // In a cluster: a replica accepts no writes.
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

/** The type byte of a bulk string in the protocol, `$`; a key of the option `typeMapping` of redis 5. */
const BULK_STRING = 36;
/** Return strings as buffers: redis 4 reads the first option, 5 and later the second. */
const AS_BYTES = { returnBuffers: true, typeMapping: { [BULK_STRING]: Buffer } };

class NodeRedisLink implements RedisLink {
  readonly #client: NodeRedis;
  readonly #isCluster: boolean;

  constructor(app: NodeRedis, connectTimeoutMs: number, onError: (error: unknown) => void) {
    this.#isCluster = 'masters' in app;
    const reconnectStrategy = (): Error => new Error('the connection is closed');
    const socket = { ...app.options?.socket, connectTimeout: connectTimeoutMs, reconnectStrategy };
    const own = { socket, disableOfflineQueue: true, legacyMode: false };
    // A cluster client does not expose the options of its nodes; its duplicate has all of them.
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
    // It rejects only where the client is closed already.
    void Promise.resolve(this.#client.disconnect()).catch(() => undefined);
  }
}
