/** An app that sends the bodies of the corpus through guards, in this process or in a child. */
import compression from 'compression';
import express, { type Express, type Response } from 'express';
import type { GuardOptions, Lastchunk } from '../../../src/index.ts';
import type { Fixture } from './fixture.ts';

/** How a body is cut into writes. */
const CUTS = {
  /** One `end`, as `res.json` sends it. */
  end: (body) => [body],
  /** One write. */
  whole: (body) => [body],
  /** One byte a write. */
  bytes: (body) => Array.from(body, (_, at) => body.subarray(at, at + 1)),
  /** Pieces of 1 to 97 bytes, the same for the same body. */
  anywhere: (body) => {
    const pieces: Buffer[] = [];
    let state = body.length;
    for (let at = 0; at < body.length;) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      const end = at + 1 + ((state >>> 8) % 97);
      pieces.push(body.subarray(at, end));
      at = end;
    }
    return pieces;
  },
} as const satisfies Record<string, (body: Buffer) => readonly Buffer[]>;

/** A name of a cut. */
export type Cut = keyof typeof CUTS;
/** All of them. */
export const CUT_NAMES = ['end', 'whole', 'bytes', 'anywhere'] as const satisfies readonly Cut[];

/**
 * The routes of some streams: `GET /CUT/FORMAT/ID` answers with a body and ends; `GET /CUT/FORMAT/ID?open` writes it and
 * does not end. The conversation of the message is the path, with `?open` where it was asked for.
 */
export function corpusApp(
  keep: Lastchunk,
  fixtures: readonly Fixture[],
  confirmTimeoutMs = 60_000,
): Express {
  const app = express();
  for (const fixture of fixtures) {
    for (const format of ['auto', ...fixture.formats]) {
      for (const [cut, pieces] of Object.entries(CUTS)) {
        const path = `/${cut}/${format}/${fixture.id}`;
        app.get(
          path,
          keep.guard({ ...guardOptions(fixture, path, format), confirmTimeoutMs }),
          ...between(fixture),
          (req, res) => {
            for (const [name, value] of Object.entries(fixture.headers)) res.setHeader(name, value);
            if (fixture.cuts.includes('end')) {
              res.end(fixture.body);
              return;
            }
            for (const piece of pieces(fixture.body)) write(res, piece);
            if (!('open' in req.query)) res.end();
          },
        );
      }
    }
  }
  return app;
}

function guardOptions(fixture: Fixture, path: string, format: string): GuardOptions {
  return {
    ...(format === 'auto' ? {} : { format }),
    ...fixture.options,
    message: (req) => ({ conversationId: req.url === path ? path : `${path}?open` }),
    route: fixture.id,
  };
}

function between({ compressed }: Fixture): readonly express.RequestHandler[] {
  return compressed ? [compression({ threshold: 0 })] : [];
}

function write(res: Response, piece: Buffer): void {
  res.write(piece);
  // Only `compression()` gives a response a `flush`.
  const flush: unknown = Reflect.get(res, 'flush');
  if (typeof flush === 'function') Reflect.apply(flush, res, []);
}
