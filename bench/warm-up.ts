/**
 * Servers are measured as they are after a while. V8 compiles what runs for every chunk within seconds, but what runs once
 * a stream only after thousands of streams; before that, its compiler is a large part of what is measured.
 */
import { atATime, connectTo } from './client.ts';

/** After 2 000 a fast chat under a guard took 1.5 times what it took after 6 000; the plain handler took the same. */
const STREAMS = 5_000;
const QUICK_STREAMS = 20;

const TOGETHER = 4;

/** Has a server serve many short streams; returns how many. */
export async function warmUp(port: number, path: string, quick: boolean): Promise<number> {
  const streams = quick ? QUICK_STREAMS : STREAMS;
  await atATime(TOGETHER, streams, async () => {
    const connection = await connectTo(port);
    await connection.read(path);
    connection.close();
  });
  return streams;
}
