// One RTCPeerConnection for everything a member sends and receives. The page always offers.
// Own camera and microphone are sendonly sections; each producer of the others is a recvonly section.
// A section whose producer is gone is paused and later given to another producer (media.select),
// so that people who come and go do not make the description grow for ever.

const DRAIN_MS = 1000; // a freed section rests until the last pictures of its old producer are decoded
const LONE_BITRATE = 900_000; // bit/s of a camera sent once, to everybody: raising costs every viewer's link, lowering sharpness
const DISCONNECTED_MS = 4000; // raising delays the repair after a cut, lowering repairs what would heal by itself

// The camera is sent up to three times at once, so that the server can give each viewer what fits, and each in
// three temporal layers, so that it can leave out frames. Browsers drop the last layers first when the link is thin.
const RIDS = ["l", "m", "h"];
const FRAME_RATE = 30; // per second
const TEMPORAL = "L1T3";
// Pixels of a picture from which two, and three, layers are worth their time; Chromium makes no more whatever it is asked.
const TWO_LAYERS = 480 * 270;
const THREE_LAYERS = 960 * 540;
// bit/s that a layer may take, by the most pixels it has: raising costs the sender's link, lowering costs sharpness.
const BITRATES = [[320 * 180, 150_000], [640 * 360, 500_000], [Infinity, 1_700_000]];

/** How `count` agreed layers of a picture of `pixels` are sent: those that are not worth their time rest. */
export function layers(count, pixels) {
  const worthwhile = pixels >= THREE_LAYERS ? 3 : pixels >= TWO_LAYERS ? 2 : 1;
  const used = Math.min(count, worthwhile);
  return Array.from({ length: count }, (_, index) => {
    const scaleResolutionDownBy = 2 ** Math.max(0, used - 1 - index);
    const maxBitrate = BITRATES.find(([most]) => pixels / scaleResolutionDownBy ** 2 <= most)[1];
    const most = count === 1 ? Math.min(maxBitrate, LONE_BITRATE) : maxBitrate;
    return { active: index < used, scaleResolutionDownBy, maxBitrate: most };
  });
}

function pixelsOf(track) {
  const { width = 1280, height = 720 } = track.getSettings();
  return width * height;
}

/** Keeps descriptions small: VP8, then baseline H.264 (receiving only), retransmission, Opus, then RED if the server wants it. */
function codecPreferences(kind, receiving) {
  const { codecs } = RTCRtpReceiver.getCapabilities(kind) ?? { codecs: [] };
  const is = (codec, name) => codec.mimeType.toLowerCase() === `${kind}/${name}`;
  if (kind === "audio") return [...codecs.filter((codec) => is(codec, "opus")), ...codecs.filter((codec) => is(codec, "red"))];
  const baseline = (codec) => is(codec, "h264") && /packetization-mode=1/.test(codec.sdpFmtpLine ?? "")
    && /profile-level-id=42e0/i.test(codec.sdpFmtpLine ?? "");
  return [
    ...codecs.filter((codec) => is(codec, "vp8")),
    ...(receiving ? codecs.filter(baseline).slice(0, 1) : []),
    ...codecs.filter((codec) => is(codec, "rtx")),
  ];
}

// What the server makes use of: whose packet, which layer, how loud, when sent, how it travelled, what depends on what.
const EXTENSIONS = new RegExp([
  "sdes:(mid|(repaired-)?rtp-stream-id)$", "ssrc-audio-level$", "abs-send-time$", "transport-wide-cc-extensions-01$",
  "dependency-descriptor-rtp-header-extension$",
].join("|"));

/** Leaves out of the offer what the server would not take anyway; browsers offer several kilobytes of it. */
function trim(transceiver, kind, receiving) {
  const preferences = codecPreferences(kind, receiving);
  if (preferences.length && transceiver.setCodecPreferences) transceiver.setCodecPreferences(preferences);
  chooseExtensions(transceiver);
}

function chooseExtensions(transceiver) {
  if (!transceiver.setHeaderExtensionsToNegotiate) return; // Firefox offers few, and those alone that we want
  const extensions = transceiver.getHeaderExtensionsToNegotiate();
  for (const extension of extensions) {
    if (!EXTENSIONS.test(extension.uri)) extension.direction = "stopped";
    else if (extension.direction === "stopped") extension.direction = "sendrecv"; // known, but not offered by itself
  }
  transceiver.setHeaderExtensionsToNegotiate(extensions);
}

/** A section for `track` in layers. Firefox passes over the temporal ones; a browser that cannot make them throws. */
function addCamera(connection, track) {
  const encodings = layers(RIDS.length, pixelsOf(track))
    .map((layer, index) => ({ rid: RIDS[index], maxFramerate: FRAME_RATE, ...layer }));
  const add = (sendEncodings) => connection.addTransceiver(track, { direction: "sendonly", sendEncodings });
  try {
    return add(encodings.map((encoding) => ({ ...encoding, scalabilityMode: TEMPORAL })));
  } catch {
    return add(encodings);
  }
}

/** Fits the layers to the picture that is sent and to what the server agreed to; it may have taken one layer only. */
async function fit(sender) {
  const parameters = sender.getParameters();
  const { encodings } = parameters;
  if (!sender.track || !encodings?.length) return;
  const wanted = layers(encodings.length, pixelsOf(sender.track));
  const differs = (layer, index) => Object.entries(layer).some(([key, value]) => encodings[index][key] !== value);
  if (!wanted.some(differs)) return;
  encodings.forEach((encoding, index) => Object.assign(encoding, wanted[index]));
  try {
    await sender.setParameters(parameters);
  } catch (error) {
    // A negotiation came between: it ends with the same fitting.
    if (error.name !== "InvalidStateError" && error.name !== "InvalidModificationError") throw error;
  }
}

/**
 * Events: "track" (detail: {producer, track}) a producer's track is flowing or about to;
 * "dropped" (detail: {producer}); "state" (detail: connectionState); "failed" the path is dead, make a new Peer;
 * "problem" (detail: Refusal) the server refused an offer.
 */
export class Peer extends EventTarget {
  #request;
  #connection;
  #sending = new Map(); // source -> transceiver
  #slots = []; // {transceiver, kind, producer: id|null, freedAt}
  #wanted = new Map(); // producer id -> producer
  #mustOffer = false;
  #running = false;
  #closed = false;
  #patience = null;

  /** `request(message)` sends a signalling request and resolves with its answer. */
  constructor(request) {
    super();
    this.#request = request;
    this.#connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
    this.#connection.addEventListener("connectionstatechange", () => this.#stateChanged());
  }

  get connectionState() { return this.#connection.connectionState; }

  /** Sends `track` as `source` ("camera", "screen" or "microphone") from now on; null pauses it without an offer. */
  async send(source, track) {
    const transceiver = this.#sending.get(source);
    if (transceiver) {
      await transceiver.sender.replaceTrack(track);
      if (source === "camera") await fit(transceiver.sender);
      return;
    }
    if (!track) return;
    const added = source === "camera" ? addCamera(this.#connection, track)
      : this.#connection.addTransceiver(track, { direction: "sendonly" });
    trim(added, track.kind, false);
    this.#sending.set(source, added);
    this.#mustOffer = true;
    this.#run();
  }

  /** Says which producers of other members are wanted; what is new is asked for, what is gone is let go. */
  want(producers) {
    this.#wanted = new Map(producers.map((producer) => [producer.id, producer]));
    this.#run();
  }

  /** The producer whose stream arrives in section `mid`, or null. */
  producerAt(mid) {
    return this.#slots.find((slot) => slot.transceiver.mid === mid)?.producer ?? null;
  }

  getStats() { return this.#connection.getStats(); }

  close() {
    this.#closed = true;
    clearTimeout(this.#patience);
    this.#connection.close();
  }

  /** One negotiation at a time; what changes meanwhile is dealt with in the next round. */
  async #run() {
    if (this.#running || this.#closed) return;
    this.#running = true;
    try {
      while (!this.#closed) {
        const selections = this.#assign();
        if (this.#mustOffer) await this.#offer();
        else if (selections.length) await this.#request({ type: "media.select", receive: selections });
        else break;
        this.#announce();
      }
    } catch (refusal) {
      if (!this.#closed) this.dispatchEvent(new CustomEvent("problem", { detail: refusal }));
    } finally {
      this.#running = false;
    }
  }

  /** Frees the sections of gone producers and finds one for each new producer. Returns what to select. */
  #assign() {
    const selections = new Map();
    for (const slot of this.#slots) {
      if (slot.producer === null || this.#wanted.has(slot.producer)) continue;
      this.dispatchEvent(new CustomEvent("dropped", { detail: { producer: slot.producer } }));
      Object.assign(slot, { producer: null, announced: false, freedAt: performance.now() });
      selections.set(slot.transceiver.mid, null);
    }
    const served = new Set(this.#slots.map((slot) => slot.producer));
    for (const producer of this.#wanted.values()) {
      if (served.has(producer.id)) continue;
      const rested = performance.now() - DRAIN_MS;
      const free = this.#slots.find((slot) => slot.producer === null && slot.kind === producer.kind && slot.freedAt < rested);
      if (free) {
        free.producer = producer.id;
        selections.set(free.transceiver.mid, producer.id);
      } else {
        const transceiver = this.#connection.addTransceiver(producer.kind, { direction: "recvonly" });
        trim(transceiver, producer.kind, true);
        this.#slots.push({ transceiver, kind: producer.kind, producer: producer.id, announced: false, freedAt: 0 });
        this.#mustOffer = true;
      }
    }
    return [...selections].map(([mid, producer]) => ({ mid, producer }));
  }

  async #offer() {
    this.#mustOffer = false;
    // Chromium takes what a server refused out of the next offer, but leaves its layers in, and then finds that they
    // lack the extension that names them.
    const camera = this.#sending.get("camera");
    if (camera) chooseExtensions(camera);
    await this.#connection.setLocalDescription();
    // What was added while the offer was made has no mid yet; it is offered in the next round.
    const sections = this.#slots.filter((slot) => slot.transceiver.mid !== null);
    const sources = [...this.#sending].filter(([, transceiver]) => transceiver.mid !== null);
    const answer = await this.#request({
      type: "media.offer",
      sdp: this.#connection.localDescription.sdp,
      send: sources.map(([source, transceiver]) => ({ mid: transceiver.mid, source })),
      receive: sections.map((slot) => ({ mid: slot.transceiver.mid, producer: slot.producer })),
    });
    if (this.#closed) return;
    await this.#connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    if (camera?.mid && !this.#closed) await fit(camera.sender);
  }

  #announce() {
    for (const slot of this.#slots) {
      if (slot.producer === null || slot.announced || slot.transceiver.currentDirection === null || this.#closed) continue;
      slot.announced = true;
      this.dispatchEvent(new CustomEvent("track", {
        detail: { producer: this.#wanted.get(slot.producer) ?? { id: slot.producer }, track: slot.transceiver.receiver.track },
      }));
    }
  }

  #stateChanged() {
    const state = this.#connection.connectionState;
    clearTimeout(this.#patience);
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
    if (state === "failed") this.dispatchEvent(new CustomEvent("failed"));
    // Browsers wait up to half a minute before they call a path failed; a new one is quicker.
    if (state === "disconnected") {
      this.#patience = setTimeout(() => this.dispatchEvent(new CustomEvent("failed")), DISCONNECTED_MS);
    }
  }
}
