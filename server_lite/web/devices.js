// Camera and microphone: opening them, choosing among them, and how loud the microphone is.

const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

const NAMES = { audio: "microphone", video: "camera" };

/** What went wrong with a device, as a sentence that says what to do. */
export function deviceSentence(kind, error) {
  const name = NAMES[kind];
  switch (error?.name) {
    case "NotAllowedError":
      return `The browser does not let this page use your ${name}. Allow it beside the address, then turn the ${name} on again.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${name} was found. Connect one and turn it on, or join without it.`;
    case "NotReadableError":
    case "AbortError":
      return `Another program is using your ${name}. Close it and turn the ${name} on again.`;
    default:
      return `Your ${name} could not be started. Turn it on again, or join without it.`;
  }
}

/** Opens the device `id` ("" for the usual one); resolves with a track or rejects with a sentence as message. */
export async function openDevice(kind, id, raw = false) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("This address is not secure, so the browser keeps camera and microphone shut. "
      + "You can join to watch and listen, or use the desktop program.");
  }
  const sound = raw ? { echoCancellation: false, noiseSuppression: false, autoGainControl: false } : SOUND;
  const wanted = { ...(kind === "video" ? PICTURE : sound), ...(id ? { deviceId: { exact: id } } : {}) };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ [kind]: wanted });
    return stream.getTracks()[0];
  } catch (error) {
    throw new Error(deviceSentence(kind, error));
  }
}

/** Fills a <select> with the devices of a kind; hidden labels (no permission yet) become numbers. */
export async function listDevices(select, kind) {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const chosen = select.value;
  const devices = all.filter((device) => device.kind === `${kind}input`);
  const title = (device, index) => device.label || `${NAMES[kind][0].toUpperCase()}${NAMES[kind].slice(1)} ${index + 1}`;
  select.replaceChildren(...devices.map((device, index) => new Option(title(device, index), device.deviceId)));
  if (!devices.length) select.append(new Option(`No ${NAMES[kind]}`, ""));
  if (devices.some((device) => device.deviceId === chosen)) select.value = chosen;
  select.disabled = devices.length < 2;
}

/** Calls `show` about 15 times a second with the level of `track`, 0..1; returns a function that stops it. */
export function watchLevel(track, show) {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    const decibel = 10 * Math.log10(power + 1e-9);
    show(Math.min(1, Math.max(0, (decibel + 60) / 60)));
  }, 66);
  return () => {
    clearInterval(timer);
    context.close();
  };
}
