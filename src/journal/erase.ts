/**
 * Takes the records of one stream out of the segments of a dead process: settling a stream only says that nobody needs
 * it, and its text would stay on the disk for as long as its neighbours do.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { openOurs, temporaryName } from './ours.ts';
import { scan } from './record.ts';
import { listSegments } from './read/segment-file.ts';
import { segmentPath } from './segment-name.ts';

/** Writes each segment that holds records of `stream` again without them. Throws what the disk throws. */
export function eraseStream(directory: string, stream: number): void {
  for (const { salt, name, number } of listSegments(directory)) {
    const path = segmentPath(directory, { salt, name, number });
    const bytes = readSegment(path);
    const kept: Buffer[] = [];
    let found = false;
    scan(bytes, { from: 0, until: bytes.length, salt }, (record) => {
      if (record.stream === stream) found = true;
      else kept.push(bytes.subarray(record.at, record.payloadAt + record.payloadBytes));
    });
    if (found) replaceFile(path, Buffer.concat(kept));
  }
}

function readSegment(path: string): Buffer {
  const fd = openOurs(path);
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** By a rename: whoever reads it sees the old file or the new one. */
function replaceFile(path: string, bytes: Buffer): void {
  const temporary = temporaryName(path);
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}
