// The chat page: who one is, one conversation, what is said in it as it is said.
// It keeps nothing but the conversation's id; everything else is asked for.

const CONVERSATION = "bulkhead.conversation";
// While the cell moves a request takes up to ten seconds; then it is asked again.
const ANSWER_WITHIN_MS = 15_000;
const AGAIN_AFTER_MS = 2_000;
const TRIES = 5;

const messages = document.getElementById("messages");
const state = document.getElementById("state");
const identify = document.getElementById("identify");
const say = document.getElementById("say");
const text = document.getElementById("text");

let token;
let lastSeq = 0;

class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `answered ${status}`);
    this.status = status;
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A repeated write carries the same key, and so has one effect.
async function ask(method, path, body, key = crypto.randomUUID()) {
  const headers = { accept: "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  if (method !== "GET") Object.assign(headers, { "content-type": "application/json", "idempotency-key": key });
  for (let attempt = 1; ; attempt += 1) {
    try {
      const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
      const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
      if (answer.ok) return await answer.json();
      const problem = await answer.json().catch(() => ({}));
      throw new Refused(answer.status, problem);
    } catch (error) {
      const passes = !(error instanceof Refused) || error.status >= 500 || error.status === 429;
      if (!passes || attempt === TRIES) throw error;
      tell("One moment …");
      await pause(AGAIN_AFTER_MS);
    }
  }
}

function tell(sentence) {
  state.textContent = sentence;
}

// By its id: a number is given again where a message was lost with its site.
function show(message) {
  if (document.getElementById(message.id)) return;
  document.getElementById(message.client_message_id)?.remove();
  const item = line(message.text, message.author.type);
  item.id = message.id;
  for (const choice of message.choices ?? []) {
    const button = document.createElement("button");
    button.textContent = choice.text;
    button.onclick = () => send(choice.text);
    item.append(button);
  }
}

function line(words, author) {
  const item = document.createElement("li");
  item.className = author;
  item.textContent = words;
  messages.append(item);
  item.scrollIntoView({ block: "end" });
  return item;
}

async function send(words) {
  const clientId = crypto.randomUUID();
  const waiting = line(words, "contact waiting");
  waiting.id = clientId;
  try {
    const path = `/v1/conversations/${conversation()}/messages`;
    const said = await ask("POST", path, { text: words, client_message_id: clientId }, clientId);
    tell("");
    show(said.message);
    show(said.reply);
  } catch (error) {
    waiting.remove();
    text.value = words;
    tell(`Not sent: ${error.message}`);
  }
}

function hear(message) {
  lastSeq = message.seq;
  show(message);
}

function conversation() {
  return localStorage.getItem(CONVERSATION);
}

// Reads on from the last message heard: whatever ends the stream, what is there is not missed or shown twice.
async function listen() {
  for (;;) {
    try {
      const headers = { accept: "text/event-stream", "last-event-id": String(lastSeq), authorization: `Bearer ${token}` };
      const answer = await fetch(`/v1/conversations/${conversation()}/events`, { headers });
      if (!answer.ok) throw new Refused(answer.status, {});
      await read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch (error) {
      if (error instanceof Refused && error.status < 500 && error.status !== 429) return tell("Reload the page to go on.");
    }
    await pause(AGAIN_AFTER_MS);
  }
}

async function read(reader) {
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (buffer + value).split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const fields = Object.fromEntries(event.split("\n").map((field) => field.split(/: ?(.*)/s)));
      if (fields.event === "message.created") hear(JSON.parse(fields.data));
    }
  }
}

async function begin() {
  const known = conversation();
  if (known) {
    try {
      const { data } = await ask("GET", `/v1/conversations/${known}/messages`);
      data.forEach(hear);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
      // Somebody else's, or gone.
      localStorage.removeItem(CONVERSATION);
    }
  }
  if (!conversation()) {
    const { id } = await ask("POST", "/v1/conversations", { channel: "web" });
    localStorage.setItem(CONVERSATION, id);
  }
  identify.hidden = true;
  tell("");
  for (const element of say.elements) element.disabled = false;
  text.focus();
  listen();
}

async function enter() {
  try {
    token = (await ask("POST", "/v1/visitors", {})).token;
  } catch (error) {
    // Visitors are not admitted here: one has to say who one is.
    identify.hidden = false;
    tell("Paste a token to begin.");
    return;
  }
  await begin();
}

identify.onsubmit = (event) => {
  event.preventDefault();
  token = document.getElementById("token").value.trim();
  begin().catch((error) => tell(`Not accepted: ${error.message}`));
};

say.onsubmit = (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (!words) return;
  text.value = "";
  send(words);
};

enter().catch((error) => tell(`Not reachable: ${error.message}`));
