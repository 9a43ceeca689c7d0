/**
 * The part of `pg` that the store uses, as our own types: an app compiles without TypeScript types of `pg`, and a new version of `pg` does
 * not change our public types.
 */
/** What a query resolves to. */
export interface PgResult {
  readonly rows: readonly Record<string, unknown>[];
  /** Number of affected rows; `null` for commands that affect none. */
  readonly rowCount: number | null;
  /** The command in the server's answer: `INSERT`, `COMMIT`, … */
  readonly command: string;
}

/** A connection inside a transaction. It is a `pg.PoolClient`; only this part of it is public contract. */
export interface PgClient {
  query(text: string, values?: readonly unknown[]): Promise<PgResult>;
}

/** A statement; with a name it is prepared at its first run on a connection and reused by that name. */
export interface PgStatement {
  /** At most 63 bytes. */
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A query that writes its own messages, as cursors do. */
export interface PgQuery {
  /** The name of the prepared statement; `undefined` for an unnamed one. */
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
  /** The process id that the server or a pooler sent at connect. Absent in the bindings of libpq. */
  readonly processID?: unknown;
  /** Returns it to the pool; with `true` closes it instead. */
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

/** The address of a client before it connects, as `pg` derives it from the connection string, the parts and variables such as `PGHOST`. */
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
  /** May be absent in replacements of `pg`: then the address is unknown. */
  readonly Client?: new (config: object) => PgAddress;
  /** Calls `callback` with an array of results when several commands were answered. */
  readonly Query: new (
    statement: PgStatement,
    values: undefined,
    callback: (error: Error | null, results: PgResult | [PgResult, PgResult]) => void,
  ) => PgQuery;
}
