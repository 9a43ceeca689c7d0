/** What every handler of lastchunk's is to a framework: a function of Node's own request and response. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Such a handler. It answers by itself, whatever goes wrong. */
export type NodeHandler = (req: IncomingMessage, res: ServerResponse) => unknown;
