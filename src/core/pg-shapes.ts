/**
 * The part of `pg` that the store uses, as types of our own: an app without TypeScript types of `pg` can
 * still compile against ours, and a new version of `pg` cannot change what we publish.
 */
/** What a query resolves to. */
export interface PgResult {
  readonly rows: readonly Record<string, unknown>[];
  /** Rows touched; `null` for commands that touch none. */
  readonly rowCount: number | null;
  /** `INSERT`, `COMMIT`, …: the word the server answered with. */
  readonly command: string;
}

/** A connection inside a transaction. It is a `pg.PoolClient`, of which this is the part we promise. */
export interface PgClient {
  query(text: string, values?: readonly unknown[]): Promise<PgResult>;
}

/** A statement that is planned at its first run on a connection, and known by its name from then on, if it has one. */
export interface PgStatement {
  /** At most 63 bytes. */
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A query that writes its own messages, as cursors do. */
export interface PgQuery {
  /** By which its session knows it; none for a statement that is not to be remembered. */
  name?: string | undefined;
  submit(connection: PgConnectionPort): Error | null;
}

/** The wire protocol, as a query sees it: each call sends one message of the extended protocol. */
export interface PgConnectionPort {
  readonly stream: { cork(): void; uncork(): void };
  parse(message: { readonly text: string; readonly name: string }): void;
  bind(message: object): void;
  execute(message: object): void;
}

/** A client as the pool lends it. */
export interface PgPoolClient extends PgClient {
  query(text: string, values?: readonly unknown[]): Promise<PgResult>;
  query(query: PgQuery): unknown;
  /** Absent in the bindings of libpq. */
  readonly connection?: unknown;
  /** The process that was named at connect, by the server or by a pooler. Absent in the bindings of libpq. */
  readonly processID?: unknown;
  /** Gives it back; with `true` it is closed instead. */
  release(destroy?: boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
}

/** A `pg.Pool`. */
export interface PgPool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  connect(): Promise<PgPoolClient>;
  query(text: string): Promise<PgResult>;
  end(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: PgPoolClient) => void): unknown;
}

/** What a client says of its address before it connects: the rules of `pg` for strings, parts and `PGHOST` and the like. */
export interface PgAddress {
  readonly host?: string | null;
  readonly port?: number | string | null;
  readonly database?: string | null;
  /** False without TLS, else true or the options of `tls.connect`. */
  readonly ssl?: unknown;
}

/** The module `pg`. */
export interface PgModule {
  readonly Pool: new (config: object) => PgPool;
  /** Absent in stand-ins: then nothing is known of the address. */
  readonly Client?: new (config: object) => PgAddress;
  /** Calls back with several results when several commands were answered. */
  readonly Query: new (
    statement: PgStatement,
    values: undefined,
    callback: (error: Error | null, results: PgResult | [PgResult, PgResult]) => void,
  ) => PgQuery;
}
