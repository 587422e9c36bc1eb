// The control connection: JSON messages over one WebSocket, as docs/protocol.md describes them.
// Requests carry "id", answers "re"; a refusal rejects the request with the server's own sentence.

export const PROTOCOLS = [1];
export const CLIENT = "hearth-web/0.1.0";
const ANSWER_TIMEOUT_MS = 5000; // higher: a dead path is noticed later; lower: slow phones reconnect needlessly
const OPEN_TIMEOUT_MS = 8000;

/** A request the server said no to, or could not be asked. `sentence` is for people, `code` for programs. */
export class Refusal extends Error {
  constructor(code, sentence) {
    super(sentence);
    this.name = "Refusal";
    this.code = code;
    this.sentence = sentence;
  }
}

/**
 * One WebSocket from opening to closing; never reopened (a reconnect makes a new Signalling).
 * Events: "message" (detail: an unasked message of the server), "closed" (detail: {code, sentence} or null).
 */
export class Signalling extends EventTarget {
  #socket = null;
  #nextId = 1;
  #waiting = new Map(); // id -> {resolve, reject, timer}
  #farewell = null;
  #over = false;

  /** Resolves when the socket is open; rejects with a Refusal when the server cannot be reached. */
  open(url) {
    return new Promise((resolve, reject) => {
      const unreachable = () => new Refusal("server-unreachable", "The meeting's server does not answer. Check your network, then try again.");
      const socket = new WebSocket(url);
      const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
      this.#socket = socket;
      socket.addEventListener("open", () => { clearTimeout(timer); resolve(); });
      socket.addEventListener("message", (event) => this.#read(event.data));
      socket.addEventListener("close", () => {
        clearTimeout(timer);
        reject(unreachable());
        this.#close();
      });
    });
  }

  /** Sends a request; resolves with the answer message, rejects with a Refusal. */
  request(message) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#over || this.#socket?.readyState !== WebSocket.OPEN) {
        reject(new Refusal("connection-lost", "The connection to the server is lost."));
        return;
      }
      // A server that no longer answers is as good as gone: closing starts the reconnect.
      const timer = setTimeout(() => this.close(), ANSWER_TIMEOUT_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ ...message, id }));
    });
  }

  /** Sends a message that has no answer. */
  tell(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  close() {
    this.#socket?.close(1000);
    this.#close(); // do not wait for the closing handshake: the path may be dead
  }

  #read(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof message?.type !== "string" || this.#over) return;
    if (message.type === "session.closing") this.#farewell = { code: message.code, sentence: message.sentence };
    const waiting = this.#waiting.get(message.re);
    if (waiting) {
      this.#waiting.delete(message.re);
      clearTimeout(waiting.timer);
      if (message.type === "session.refused") waiting.reject(new Refusal(message.code, message.sentence));
      else waiting.resolve(message);
      return;
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  #close() {
    if (this.#over) return;
    this.#over = true;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Refusal("connection-lost", "The connection to the server is lost."));
    }
    this.#waiting.clear();
    this.dispatchEvent(new CustomEvent("closed", { detail: this.#farewell }));
  }
}
