/**
 * Packages that only these tests use, described as far as they are used and loaded when a test runs: where one is not installed, its
 * shape prints a line and passes. In CI they have to be there.
 */
import { createRequire } from 'node:module';

/** A decorator of a method and of a parameter, called by hand as compiled code does. */
type MethodDecorator = (target: object, key: string, descriptor: PropertyDescriptor) => unknown;
type ParameterDecorator = (target: object, key: string, index: number) => unknown;
type ClassDecorator = (target: abstract new () => unknown) => unknown;

/** Of an `Observable`, that it is one is enough. */
export type Observable = object;

/** A React component or a tag, and an element. */
type Component<Props> = string | symbol | ((props: Props) => object);

/** What is used of each package. */
export interface Packages {
  readonly 'reflect-metadata': object;
  readonly '@nestjs/common': {
    Controller(path: string): ClassDecorator;
    Module(parts: { readonly controllers: readonly unknown[] }): ClassDecorator;
    Param(name: string): ParameterDecorator;
    Sse(path: string): MethodDecorator;
  };
  readonly '@nestjs/core': {
    readonly NestFactory: {
      create(module: unknown, adapter: object, options: object): Promise<NestApplication>;
    };
  };
  readonly '@nestjs/platform-express': { readonly ExpressAdapter: new (app: unknown) => object };
  readonly rxjs: {
    from(values: readonly string[]): { pipe(operator: unknown): Observable };
    of(value: object): { pipe(operator: unknown): Observable };
    concatMap(project: (value: string) => Observable): unknown;
    delay(ms: number): unknown;
  };
  readonly '@modelcontextprotocol/sdk/server/mcp.js': {
    readonly McpServer: new (facts: {
      readonly name: string;
      readonly version: string;
    }) => McpServer;
  };
  readonly '@modelcontextprotocol/sdk/server/streamableHttp.js': {
    readonly StreamableHTTPServerTransport: new (options: {
      readonly sessionIdGenerator: () => string;
    }) => { handleRequest(req: object, res: object, body: unknown): Promise<void> };
  };
  readonly react: {
    createElement<Props>(
      type: Component<Props>,
      props: Props,
      ...children: readonly unknown[]
    ): object;
    readonly Suspense: symbol;
    use<T>(promise: Promise<T>): T;
  };
  readonly 'react-dom/server': {
    renderToPipeableStream(
      page: object,
      options: { readonly onShellReady: () => void },
    ): { pipe(res: object): unknown };
  };
}

/** Of an app of Nest. */
export interface NestApplication {
  use(path: string, middleware: unknown): unknown;
  init(): Promise<unknown>;
  close(): Promise<void>;
}

/** Of a server of MCP. */
export interface McpServer {
  registerTool(name: string, facts: { readonly description: string }, run: () => object): unknown;
  connect(transport: object): Promise<void>;
  close(): Promise<void>;
}

const require = createRequire(import.meta.url);

/** A package that is installed. Rejects with Node's own error otherwise. */
export function load<const Name extends keyof Packages>(name: Name): Promise<Packages[Name]> {
  // Described above.
  return import(/* @vite-ignore */ name) as Promise<Packages[Name]>;
}

/** The first of these packages that is not installed. */
export function missingOf(names: readonly (keyof Packages)[]): string | undefined {
  return names.find((name) => {
    try {
      require.resolve(name);
      return false;
    } catch {
      // Not installed.
      return true;
    }
  });
}
