/** The chat page of the demo: it shows side by side what arrived here and what the database has of it. */

const byId = (id) => document.getElementById(id);
const { run, repeated, breaks } = await (await fetch('setup')).json();
const LOOK_EVERY_MS = 500;

let number = 0;
/** The stream on its way, or the last one. */
let current;

byId('chat').addEventListener('submit', (event) => {
  event.preventDefault();
  void send(byId('prompt').value);
});
byId('leave').addEventListener('click', () => {
  current?.leave.abort();
  say('You have left: the connection is closed. The handler goes on.');
});
byId('stop').addEventListener('click', () => void stop());
for (const button of document.querySelectorAll('[data-break]')) {
  button.hidden = !breaks.includes(button.dataset.break);
  button.addEventListener('click', () => void breakIt(button));
}
setInterval(() => void look(), LOOK_EVERY_MS);

async function send(prompt) {
  number += 1;
  const stream = {
    id: `${run}-mine-${number}`,
    leave: new AbortController(),
    seen: '',
    isOver: false,
  };
  current?.leave.abort();
  current = stream;
  byId('kept').textContent = '';
  show();
  try {
    const response = await fetch(`guarded/${stream.id}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: Array(repeated).fill(prompt).join(' ') }),
      signal: stream.leave.signal,
    });
    if (!response.ok) throw new Error(`the app answers ${response.status}`);
    stream.streamId = response.headers.get('x-stream-id');
    say('An answer is on its way.');
    await read(response.body, stream);
    say('The answer is over.');
  } catch (error) {
    if (!stream.leave.signal.aborted) say(`The answer broke off: ${error.message}.`);
  }
  stream.isOver = true;
  show();
}

/** Frames as the app sends them: a chunk of a chat completion each. */
async function read(body, stream) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const frames = (rest + value).split('\n\n');
    rest = frames.pop();
    for (const frame of frames) {
      const data = frame.replace(/^data: /, '');
      if (data !== '[DONE]') stream.seen += JSON.parse(data).choices[0]?.delta.content ?? '';
    }
    show();
  }
}

async function stop() {
  const answer = await fetch(`streams/${current.streamId}`, { method: 'DELETE' });
  const { outcome, save } = await answer.json();
  say(answer.ok ? `Outcome: ${outcome}. The message: ${save}.` : 'There is nothing to stop.');
}

async function breakIt(button) {
  button.disabled = true;
  const answer = await fetch(`break/${button.dataset.break}`, { method: 'POST' });
  say(answer.ok ? `Done: ${button.textContent}.` : `It could not be done: ${await answer.text()}`);
  button.disabled = false;
}

/** What the database has; while it is away, or the app is, nobody can say. */
async function look() {
  if (current === undefined) return;
  const { id } = current;
  const answer = await fetch(`guarded/${id}`).catch(() => undefined);
  if (id !== current.id) return;
  if (answer?.ok !== true) {
    byId('verdict').textContent = 'The database cannot be asked now.';
    return;
  }
  const [row] = await answer.json();
  byId('kept').textContent = row?.text ?? '';
  const { seen, isOver } = current;
  if (!isOver) byId('verdict').textContent = '';
  else if (row === undefined) byId('verdict').textContent = 'Nothing is stored yet.';
  else {
    const isKept = row.text.startsWith(seen);
    byId('verdict').textContent = isKept
      ? 'Kept: all that you saw.'
      : 'Lost: not all that you saw.';
  }
}

function say(words) {
  byId('said').textContent = words;
}

function show() {
  const isLive = current !== undefined && !current.isOver;
  byId('seen').textContent = current?.seen ?? '';
  byId('leave').disabled = !isLive;
  byId('stop').disabled = !isLive;
}
