// What really arrives, counted: for support ("hearth.report()" in the console) and for the tests.
// Everything here is about the person's own page; nothing is sent anywhere.

const LOUDNESS_FLOOR = 1e-10;

function pick(stat, names) {
  return Object.fromEntries(names.filter((name) => name in stat).map((name) => [name, stat[name]]));
}

const VIDEO = ["packetsReceived", "packetsLost", "framesReceived", "framesDecoded", "keyFramesDecoded",
  "framesDropped", "framesPerSecond", "freezeCount", "totalFreezesDuration", "frameWidth", "frameHeight", "nackCount", "pliCount", "firCount", "jitterBufferDelay"];
const AUDIO = ["packetsReceived", "packetsLost", "totalAudioEnergy", "totalSamplesDuration", "audioLevel", "concealedSamples"];
const OUT = ["kind", "rid", "active", "packetsSent", "bytesSent", "framesEncoded", "framesPerSecond", "keyFramesEncoded",
  "retransmittedPacketsSent", "pliCount", "nackCount", "frameWidth", "frameHeight", "targetBitrate", "scalabilityMode",
  "qualityLimitationReason"];
const REMOTE = ["roundTripTime", "fractionLost", "packetsLost"];

/** inbound-rtp and outbound-rtp statistics, by member. */
async function report(meeting, page) {
  const members = {};
  const owners = new Map();
  for (const member of meeting?.members.values() ?? []) {
    members[member.id] = {
      name: member.name, microphone: member.microphone, camera: member.camera, connected: member.connected,
      me: member.id === meeting.me, firstFrameMs: page.firstFrames.get(member.id) ?? null, video: null, audio: null,
    };
    for (const producer of member.producers) owners.set(producer.id, member.id);
  }
  const outbound = [];
  const peer = meeting?.peer;
  const stats = await peer?.getStats();
  for (const stat of stats?.values() ?? []) {
    // What the server says of a stream that is sent: that it says anything means that the stream arrives.
    if (stat.type === "outbound-rtp") outbound.push({ ...pick(stat, OUT), ...pick(stats.get(stat.remoteId) ?? {}, REMOTE) });
    const owner = stat.type === "inbound-rtp" ? members[owners.get(peer.producerAt(stat.mid))] : undefined;
    if (owner) owner[stat.kind] = pick(stat, stat.kind === "video" ? VIDEO : AUDIO);
  }
  return { phase: page.phase, words: page.words, title: meeting?.title ?? "", me: meeting?.me ?? null,
    connection: peer?.connectionState ?? "none", members, outbound };
}

/** The brightness (0..255) of what a tile shows, row by row: {width, height, luma: base64}, or null. */
function grab(element) {
  if (!element?.videoWidth) return null;
  const [width, height] = [element.videoWidth, element.videoHeight];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(element, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  let text = "";
  for (let at = 0; at < data.length; at += 4) {
    text += String.fromCharCode(Math.round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]));
  }
  return { width, height, luma: btoa(text) };
}

/** Listens to `track` for `seconds`; the strongest frequency (Hz) and the level (dBFS). */
async function listen(track, seconds) {
  const context = new AudioContext({ sampleRate: 48000 });
  const analyser = new AnalyserNode(context, { fftSize: 32768, smoothingTimeConstant: 0 });
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  await context.resume();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  const samples = new Float32Array(analyser.fftSize);
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatTimeDomainData(samples);
  analyser.getFloatFrequencyData(spectrum);
  await context.close();
  const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
  let peak = 1;
  for (let bin = 2; bin < spectrum.length - 1; bin += 1) if (spectrum[bin] > spectrum[peak]) peak = bin;
  const [left, top, right] = [spectrum[peak - 1], spectrum[peak], spectrum[peak + 1]];
  const curve = left - 2 * top + right; // a parabola through three bins finds the peak between them
  const shift = Number.isFinite(curve) && curve !== 0 ? (0.5 * (left - right)) / curve : 0;
  return { frequency: ((peak + shift) * 48000) / analyser.fftSize, level: 10 * Math.log10(power + LOUDNESS_FLOOR) };
}

/** Puts `hearth` on the window. `page`: {meeting(), tiles, firstFrames, phase, words}. */
export function observe(page) {
  const element = (member, kind) => page.tiles.media(member, kind);
  window.hearth = {
    report: () => report(page.meeting(), page),
    grab: (member) => grab(element(member, "video")),
    listen: (member, seconds = 1) => {
      const track = element(member, "audio")?.srcObject?.getAudioTracks()[0];
      return track ? listen(track, seconds) : Promise.resolve(null);
    },
  };
}
