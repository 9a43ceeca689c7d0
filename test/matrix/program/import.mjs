// As an app of ES modules has it; the SDK is started by lastchunk/register.
import express from 'express';
import { lastchunk } from 'lastchunk';
import { postgres } from 'lastchunk/postgres';
import { prometheus } from 'lastchunk/prometheus';
import pg from 'pg';
import { run } from './chat.mjs';

await run({ express, pg, lastchunk, postgres, prometheus });
