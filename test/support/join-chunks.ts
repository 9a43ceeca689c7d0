/**
 * Responses as they were received, without the boundaries of the chunked coding. Node 26 sends all writes of one tick as one chunk, which
 * does not include a write that has to wait; the boundaries are not part of the message (RFC 9112, section 7.1).
 */
export function joinChunks(raw: Buffer): string {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < raw.length) {
    const split = raw.indexOf('\r\n\r\n', at);
    if (split < 0) break;
    const head = raw.subarray(at, split + 4);
    parts.push(head);
    at = split + 4;
    if (/^transfer-encoding: chunked\r$/im.test(head.toString('latin1'))) {
      at = takeChunks(raw, at, parts);
    } else if (!/^HTTP\/1\.1 1\d\d /.test(head.toString('latin1'))) break;
  }
  parts.push(raw.subarray(at));
  return Buffer.concat(parts).toString('latin1');
}

/** Pushes the data of all chunks, without the last chunk and the trailers; returns the offset of these. */
function takeChunks(raw: Buffer, from: number, parts: Buffer[]): number {
  let at = from;
  for (;;) {
    const lineEnd = raw.indexOf('\r\n', at);
    const size = Number.parseInt(raw.subarray(at, lineEnd).toString('latin1'), 16);
    if (lineEnd < 0 || !(size > 0)) return at;
    parts.push(raw.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}
