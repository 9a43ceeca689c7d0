/**
 * `lastchunk/register`: starts the app's own OpenTelemetry SDK before the app. Has no names to import:
 *
 *     node --import lastchunk/register app.js
 */
import { startTelemetry } from './start.ts';

startTelemetry();
