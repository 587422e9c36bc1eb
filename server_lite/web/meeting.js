// A meeting as this page knows it: who is here, whose track is whose, and how to come back after a cut.
// Knows nothing of the document; main.js shows what this says.

import { CLIENT, PROTOCOLS, Refusal, Signalling } from "./signalling.js";
import { Peer } from "./peer.js";
import { View, wordsFor } from "./view.js";
import { plain, wantedVoices } from "./voices.js";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 3000; // raising spares a returning server, lowering brings people back sooner
// What one offer has room for (64 KiB a message, 1.3 KB a section): the rest are shown by their initials.
const MOST_PICTURES = 24;
const RETRY_CODES = new Set(["server-unreachable", "connection-lost"]); // another try may go better

/**
 * Events: "state" (detail: words for the person, "" when all is well), "members", "speaker" (detail: member id|null),
 * "track" (detail: {producer, member, kind, source, track|null}; a producer of no member is whoever is loud), "note" (detail: sentence),
 * "held" (detail: {member, words}) why no picture of that member comes just now, "" when it comes again,
 * "over" (detail: Refusal or null when the person left).
 */
export class Meeting extends EventTarget {
  members = new Map(); // id -> Member, in the order of joining
  me = null;
  title = "";
  #address;
  #name;
  #signalling = null;
  #peer = null;
  #resume = null;
  #tracks = { microphone: null, camera: null };
  #muted = { microphone: false, camera: false };
  #arriving = new Map(); // producer id -> {producer, member, kind, source}
  #received = []; // producers that are asked for
  #heights = new Map(); // member -> px of its tile
  #view = null; // there once the server knows the path
  #over = false;
  #everIn = false;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer = null;

  /** `address`: {url, room|null, token}. */
  constructor(address, name) {
    super();
    this.#address = address;
    this.#name = name;
  }

  get peer() { return this.#peer; }

  /** Says what is sent: `track` null is "not now"; others are told by media.mute. */
  async setSource(source, track) {
    const was = this.#muted[source];
    this.#tracks[source] = track;
    this.#muted[source] = track === null;
    if (this.#peer) await this.#peer.send(source, track);
    if (was !== this.#muted[source] && this.#everIn) await this.#tellMuted(source);
  }

  /** Joins; what happens afterwards is told by events. Rejects with a Refusal when the first try fails. */
  async join() {
    this.#tell("state", "Finding the server");
    await this.#connect();
  }

  /** Says how high each member's picture is shown, px by member, 0 where nobody can see it. */
  view(heights) {
    this.#heights = heights;
    this.#view?.tell(heights, this.#received);
  }

  leave() {
    if (this.#over) return;
    this.#signalling?.tell({ type: "session.leave" });
    this.#end(null);
  }

  async #connect() {
    const signalling = new Signalling();
    this.#signalling = signalling;
    signalling.addEventListener("closed", (event) => { if (signalling === this.#signalling) this.#lost(event.detail); });
    signalling.addEventListener("message", (event) => { if (signalling === this.#signalling) this.#hear(event.detail); });
    await signalling.open(this.#address.url);
    this.#tell("state", this.#everIn ? "Coming back into the meeting" : "Joining the meeting");
    const welcome = await signalling.request(this.#hello());
    if (this.#over) return;
    this.#everIn = true;
    this.#retryMs = FIRST_RETRY_MS;
    this.#resume = welcome.resume;
    this.#welcome(welcome);
  }

  #hello() {
    return {
      type: "session.hello",
      protocol: PROTOCOLS,
      client: CLIENT,
      room: this.#address.room,
      token: this.#address.token,
      name: this.#name,
      resume: this.#resume,
      microphone: !this.#muted.microphone,
      camera: !this.#muted.camera,
    };
  }

  #welcome(welcome) {
    this.me = welcome.member;
    this.title = welcome.title;
    this.members = new Map(welcome.members.map((member) => [member.id, member]));
    this.#tell("members");
    this.#tell("state", "Securing the connection");
    this.#startPeer();
  }

  #startPeer() {
    this.#peer?.close();
    for (const stream of this.#arriving.values()) this.#tell("track", { ...stream, track: null });
    this.#arriving.clear();
    this.#view = null;
    const peer = new Peer((message) => this.#signalling.request(plain(message)));
    this.#peer = peer;
    const on = (type, act) => peer.addEventListener(type, (event) => { if (peer === this.#peer) act(event.detail); });
    on("track", (detail) => this.#arrived(detail));
    on("dropped", ({ producer }) => this.#departed(producer));
    on("state", (state) => { if (state === "connected") this.#tell("state", ""); });
    on("failed", () => { this.#tell("state", "Connection lost. Trying again"); this.#startPeer(); });
    on("problem", (refusal) => this.#offerRefused(refusal));
    for (const source of ["microphone", "camera"]) peer.send(source, this.#tracks[source]);
    this.#want();
  }

  #offerRefused(refusal) {
    if (RETRY_CODES.has(refusal.code)) return; // the closed socket brings everything back
    this.#tell("note", refusal.sentence ?? "The browser could not agree with the server on pictures and sound. Load the page again.");
  }

  #want() {
    const others = [...this.members.values()].filter((member) => member.id !== this.me);
    const of = (kind) => others.flatMap((member) => member.producers).filter((p) => p.kind === kind);
    this.#received = [...of("video").slice(0, MOST_PICTURES), ...wantedVoices(of("audio"))];
    this.#peer?.want(this.#received);
    this.#view?.tell(this.#heights, this.#received);
    if (others.length === 0 && !this.#tracks.microphone && !this.#tracks.camera) this.#tell("state", ""); // nothing to secure yet
  }

  #arrived({ producer, track }) {
    const { member, kind, source } = producer;
    const stream = { producer: producer.id, member, kind, source };
    this.#arriving.set(producer.id, stream);
    this.#tell("track", { ...stream, track });
    this.#view ??= new View((message) => this.#signalling.request(message));
    this.#view.tell(this.#heights, this.#received);
  }

  #departed(id) {
    const stream = this.#arriving.get(id);
    this.#arriving.delete(id);
    if (stream) this.#tell("track", { ...stream, track: null });
  }

  #hear(message) {
    const member = message.member;
    switch (message.type) {
      case "session.joined":
      case "session.changed":
        this.members.set(member.id, member);
        break;
      case "session.left":
        this.members.delete(member);
        break;
      case "media.produced":
        this.#edit(message.producer.member, (list) => [...list.filter((p) => p.id !== message.producer.id), message.producer]);
        break;
      case "media.unproduced":
        for (const { id } of this.members.values()) this.#edit(id, (list) => list.filter((p) => p.id !== message.producer));
        break;
      case "media.speaker":
        this.#tell("speaker", member);
        return;
      case "media.forwarded": {
        const owner = [...this.members.values()].find(({ producers }) => producers.some(({ id }) => id === message.producer));
        if (owner) this.#tell("held", { member: owner.id, words: wordsFor(message) });
        return;
      }
      case "media.voice":
        return; // whose voice it is shows by media.speaker
      case "session.refused":
        this.#tell("note", message.sentence);
        return;
      default:
        return;
    }
    this.#tell("members");
    this.#want();
  }

  #edit(id, change) {
    const member = this.members.get(id);
    if (member) this.members.set(id, { ...member, producers: change(member.producers) });
  }

  async #tellMuted(source) {
    try {
      await this.#signalling.request({ type: "media.mute", source, muted: this.#muted[source] });
    } catch (refusal) {
      if (!RETRY_CODES.has(refusal.code)) this.#tell("note", refusal.sentence);
    }
  }

  #lost(farewell) {
    if (this.#over || !this.#everIn) return; // the first join tells its failure itself
    if (farewell && farewell.code !== "server-stopping") {
      this.#end(new Refusal(farewell.code, farewell.sentence));
      return;
    }
    this.#tell("state", "Connection lost. Trying again");
    this.#retryTimer = setTimeout(() => this.#return(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
  }

  async #return() {
    try {
      await this.#connect();
    } catch (refusal) {
      if (this.#over) return;
      if (RETRY_CODES.has(refusal.code)) return; // #lost has set the next try
      if (this.#resume !== null) {
        // The server no longer keeps our place (it was started again, or we were away too long): join anew.
        this.#resume = null;
        this.#signalling.close();
        return;
      }
      this.#end(refusal);
    }
  }

  #end(refusal) {
    this.#over = true;
    clearTimeout(this.#retryTimer);
    const [signalling, peer] = [this.#signalling, this.#peer];
    this.#signalling = this.#peer = this.#view = null;
    peer?.close();
    signalling?.close();
    this.#tell("over", refusal);
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
