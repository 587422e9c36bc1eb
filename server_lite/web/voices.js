// Voices for which one description has no room: three sections that carry whoever of them is loud.

// Sound sections of their own. One description holds 64 KiB: a picture's section in it takes 1.3 KB and a voice's 0.8,
// and with 24 pictures there is room for some 30 voices. The server forwards the loudest three in large rooms anyway.
const OWN_VOICES = 20;
const LOUD = ["*1", "*2", "*3"].map((id) => ({ id, member: null, kind: "audio", source: "microphone" }));

/** What to ask for to hear all of `producers`: each by itself as long as there is room, then whoever is loud. */
export function wantedVoices(producers) {
  return producers.length <= OWN_VOICES + LOUD.length ? producers : [...producers.slice(0, OWN_VOICES), ...LOUD];
}

/** `message` as the server knows it: all sections for loud voices name "*". */
export function plain(message) {
  if (!message.receive) return message;
  const named = (producer) => (producer?.startsWith("*") ? "*" : producer);
  return { ...message, receive: message.receive.map(({ mid, producer }) => ({ mid, producer: named(producer) })) };
}

/** Plays what belongs to no tile. `blocked()` is called when the browser wants a click before it plays sound. */
export class Voices {
  #elements = new Map(); // id -> <audio>
  #blocked;

  constructor(blocked) {
    this.#blocked = blocked;
  }

  /** Plays `track` as voice `id`; null ends it. */
  attach(id, track) {
    const old = this.#elements.get(id);
    if (old) old.srcObject = null;
    this.#elements.delete(id);
    if (!track) return;
    const element = Object.assign(new Audio(), { autoplay: true, srcObject: new MediaStream([track]) });
    this.#elements.set(id, element);
    element.play().catch((error) => { if (error.name === "NotAllowedError") this.#blocked(); });
  }

  /** Plays everything once more, after a click. */
  resume() {
    for (const element of this.#elements.values()) element.play();
  }

  clear() {
    for (const id of [...this.#elements.keys()]) this.attach(id, null);
  }
}
