/** An MCP server over streamable HTTP, by the SDK: a tool whose call is answered by an event stream, and the feed of the session. */
import express, { type RequestHandler } from 'express';
import { expect } from 'vitest';
import type { Lastchunk } from '../../src/index.ts';
import type { PeerRequest } from '../peers/peer-case.ts';
import { load } from './packages.ts';
import { afterTest, ANSWER, guardOf, passOn, type Shape } from './shape.ts';

const SESSION = 'session-1';

export const MCP_NEEDS = [
  '@modelcontextprotocol/sdk/server/mcp.js',
  '@modelcontextprotocol/sdk/server/streamableHttp.js',
] as const;

/** The endpoint as the SDK's own examples have it: calls are guarded, and the feed, which never ends, is observed. */
export async function mcpApp(keep: Lastchunk | undefined): Promise<express.Express> {
  const { McpServer } = await load('@modelcontextprotocol/sdk/server/mcp.js');
  const { StreamableHTTPServerTransport } = await load(
    '@modelcontextprotocol/sdk/server/streamableHttp.js',
  );
  const server = new McpServer({ name: 'chat', version: '1.0.0' });
  server.registerTool('answer', { description: 'answers' }, () => ({
    content: [{ type: 'text', text: ANSWER }],
  }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => SESSION });
  await server.connect(transport);
  afterTest(() => server.close());
  const handle: RequestHandler = (req, res) => transport.handleRequest(req, res, req.body);
  const app = express();
  app.use(express.json());
  app.post('/mcp', guardOf(keep), handle);
  app.get('/mcp', keep?.observe() ?? passOn, handle);
  return app;
}

const headers = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-06-18',
};

/** A call of JSON-RPC; in the session unless it is the one that begins it. */
export function call(method: string, params: object): PeerRequest {
  const session = method === 'initialize' ? {} : { 'mcp-session-id': SESSION };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  return { path: '/mcp', method: 'POST', headers: { ...headers, ...session }, body };
}

export const INITIALIZE = call('initialize', {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
});

/** Subscribes to what the server has to say by itself. */
export const FEED: PeerRequest = {
  path: '/mcp',
  headers: { ...headers, accept: 'text/event-stream', 'mcp-session-id': SESSION },
};

export const MCP: Shape = {
  needs: MCP_NEEDS,
  app: mcpApp,
  asks: [INITIALIZE, call('tools/call', { name: 'answer', arguments: {} })],
  sees: ['"protocolVersion":"2025-06-18"', ANSWER, 'text/event-stream'],
  // JSON-RPC has no text that is known to be an answer: its results are kept as they are.
  rows: [
    { text: '', events: [{ jsonrpc: '2.0', id: 1, result: expect.objectContaining({}) }] },
    {
      text: '',
      events: [{ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: ANSWER }] } }],
    },
  ],
  streams: { '/mcp': 2 },
};
