/** The type of every handler of lastchunk, for frameworks: a function of Node's request and response. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A handler of lastchunk. It always answers by itself, errors included. */
export type NodeHandler = (req: IncomingMessage, res: ServerResponse) => unknown;
