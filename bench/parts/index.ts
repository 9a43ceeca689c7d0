/** The parts of the bench, in the order in which they run. */
import type { Part } from '../part.ts';
import { benchAdversarial } from './adversarial.ts';
import { benchCatchUp } from './catch-up.ts';
import { benchChat } from './chat.ts';
import { benchChunks } from './chunks.ts';
import { benchDelay } from './delay.ts';
import { benchEndurance } from './endurance.ts';
import { benchFrame } from './frame.ts';
import { benchGrowth } from './growth.ts';
import { benchLatency } from './latency.ts';
import { benchProfile } from './profile.ts';
import { benchRecovery } from './recovery.ts';
import { benchRelay } from './relay.ts';
import { benchSaves } from './saves.ts';
import { benchScale } from './scale.ts';
import { benchScrape } from './scrape.ts';
import { benchSetups } from './setups.ts';

export const PARTS: readonly Part[] = [
  { name: 'chunks', about: 'CPU a chunk and chunks a second of every variant', run: benchChunks },
  { name: 'delay', about: 'added latency of a chunk', run: benchDelay },
  { name: 'chat', about: 'end to end from a model, against its peers', run: benchChat },
  { name: 'saves', about: 'messages a second, against one upsert a message', run: benchSaves },
  { name: 'latency', about: 'one save at a time, against the same upsert', run: benchLatency },
  { name: 'frame', about: 'added time of the terminal frame', run: benchFrame },
  { name: 'scale', about: '100 to 10000 slow streams', run: benchScale },
  { name: 'growth', about: 'answers of 1 KB to 1 MB', run: benchGrowth },
  { name: 'adversarial', about: 'hostile and unlucky bodies', run: benchAdversarial },
  { name: 'scrape', about: '/metrics with 100 routes', run: benchScrape },
  { name: 'recovery', about: 'the journal of a dead process', run: benchRecovery },
  { name: 'catch-up', about: 'messages that waited for the store', run: benchCatchUp },
  { name: 'relay', about: 'streams that other instances read on', run: benchRelay },
  {
    name: 'setups',
    about: 'TLS, HTTP/2, compression, OpenTelemetry, newer Nodes',
    run: benchSetups,
  },
  { name: 'profile', about: 'where the time of a guarded stream goes', run: benchProfile },
  {
    name: 'endurance',
    about: 'mixed traffic with faults: does everything return to its baseline?',
    onRequest: true,
    run: benchEndurance,
  },
];
