/** NestJS with Express below it: a controller whose `@Sse()` route gives an Observable. Decorators are called by hand, as compiled. */
import express from 'express';
import type { Lastchunk } from '../../src/index.ts';
import { load, type Observable } from './packages.ts';
import { afterTest, ANSWER, guardOf, type Shape, WORDS } from './shape.ts';

/** The module of an app with `GET /chat/:id`. */
async function appModule(): Promise<unknown> {
  await load('reflect-metadata');
  const { Controller, Module, Param, Sse } = await load('@nestjs/common');
  const { concatMap, delay, from, of } = await load('rxjs');
  class ChatController {
    answer(_id: string): Observable {
      return from(WORDS).pipe(concatMap((content) => of({ data: { content } }).pipe(delay(1))));
    }
  }
  const { prototype } = ChatController;
  Sse(':id')(prototype, 'answer', Object.getOwnPropertyDescriptor(prototype, 'answer') ?? {});
  Param('id')(prototype, 'answer', 0);
  Controller('chat')(ChatController);
  class AppModule {}
  Module({ controllers: [ChatController] })(AppModule);
  return AppModule;
}

async function nestApp(keep: Lastchunk | undefined): Promise<express.Express> {
  const { NestFactory } = await load('@nestjs/core');
  const { ExpressAdapter } = await load('@nestjs/platform-express');
  const server = express();
  const adapter = new ExpressAdapter(server);
  const app = await NestFactory.create(await appModule(), adapter, { logger: false });
  app.use('/chat', guardOf(keep));
  await app.init();
  afterTest(() => app.close());
  return server;
}

export const NEST: Shape = {
  needs: ['reflect-metadata', '@nestjs/common', '@nestjs/core', '@nestjs/platform-express', 'rxjs'],
  app: nestApp,
  asks: [{ path: '/chat/7' }, { path: '/nowhere' }],
  sees: ['data: {"content":" big"}', 'Cannot GET /nowhere'],
  rows: [{ text: ANSWER }],
  streams: { '/chat/:id': 1 },
};
