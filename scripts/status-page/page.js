/** The status page: drawn from the data that it came with, and again whenever a new state comes. */
import { byId } from './elements.js';
import { drawAlerts, drawStatus } from './sections.js';

/** States come once a second; without one for so long they are old. */
const STALE_MS = 5_000;
/** Where there are no events (too many viewers, a proxy that holds them back), the page asks. */
const ASK_EVERY_MS = 4_000;

const address = location.pathname + location.search;
const { alerts, objectives, ...first } = JSON.parse(byId('data').textContent);
let status = first;
let receivedMs = Date.now();
let source;
let asking;

function redraw() {
  drawStatus(status, objectives, Date.now() - receivedMs > STALE_MS ? receivedMs : undefined);
}

function take(next) {
  status = next;
  receivedMs = Date.now();
  redraw();
}

/** Events while the page is looked at; a page in the background costs the instance nothing. */
function connect() {
  clearTimeout(asking);
  source?.close();
  source = undefined;
  if (document.hidden) return;
  source = new EventSource(address);
  source.onmessage = ({ data }) => take(JSON.parse(data));
  source.onerror = () => {
    // Refused for now: the browser does not ask again by itself.
    if (source?.readyState === EventSource.CLOSED) void ask();
  };
}

async function ask() {
  try {
    const response = await fetch(address, { headers: { accept: 'application/json' } });
    if (response.ok) take(await response.json());
  } catch {
    // It does not answer, which the page says by itself.
  }
  asking = setTimeout(connect, ASK_EVERY_MS);
}

drawAlerts(alerts);
redraw();
connect();
document.addEventListener('visibilitychange', connect);
addEventListener('resize', redraw);
setInterval(redraw, 1_000);
