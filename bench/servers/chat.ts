/** A chat, served in one of the ways. Arguments: the way, the database, where the model is. */
import express from 'express';
import pg from 'pg';
import { load } from '../built.ts';
import { given, serve } from '../child.ts';
import { CHATS, type Chat } from './chats.ts';

const [name, connectionString = '', baseURL = ''] = given.args;
const chat: Chat | undefined = Object.entries(CHATS).find(([key]) => key === name)?.[1];
if (chat === undefined) throw new Error(`there is no chat ${String(name)}`);

/** As large as the one of lastchunk. */
const pool = new pg.Pool({ connectionString, max: 4 });

const handlers = await chat.handlers({
  load: (module) => load(given.directory, module),
  journal: given.journal,
  connectionString,
  baseURL,
  save: async (text) => void (await pool.query('INSERT INTO bench_answers VALUES ($1)', [text])),
});
await serve(express().get('/chat/:model', ...handlers));
