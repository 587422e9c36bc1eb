// The page itself: the door (name, self view, devices) and the call.
// The address is /join/ROOM#TOKEN; the token stays in the fragment, so it reaches no log.

import { listDevices, openDevice, watchLevel } from "./devices.js";
import { Meeting } from "./meeting.js";
import { observe } from "./observe.js";
import { Tiles } from "./tiles.js";
import { Tilewatch } from "./view.js";
import { Voices } from "./voices.js";

const $ = (id) => document.getElementById(id);
const MAX_NAME = 64;
const NOTE_MS = 8000;
const options = new URLSearchParams(location.search); // for tests: ?autojoin=1&name=...&raw=1
const KIND = { microphone: "audio", camera: "video" };

const tracks = { microphone: null, camera: null };
const wanted = { microphone: true, camera: true };
let meeting = null;
let stopLevel = null;
let noteTimer = null;

const page = { phase: "door", words: "", firstFrames: new Map(), meeting: () => meeting, tiles: null };
const blocked = () => { $("unmute-page").hidden = false; };
const voices = new Voices(blocked);
page.tiles = new Tiles($("grid"), blocked);
new Tilewatch($("grid"), (heights) => meeting?.view(heights));

function address() {
  const room = decodeURIComponent(location.pathname.split("/")[2] ?? "");
  const token = decodeURIComponent(location.hash.slice(1));
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
  return { url, room: room && room !== "-" ? room : null, token };
}

function refusedNow(sentence) {
  $("door-problem").textContent = sentence;
}

/** Looks through the door: the meeting's title and how many are inside. */
async function lookInside() {
  const { room, token } = address();
  if (!token) {
    refusedNow("The end of the link is missing: the part after the # lets you in. Copy the whole link.");
    $("join").disabled = true;
    return;
  }
  try {
    const answer = await fetch(room ? `/api/rooms/${encodeURIComponent(room)}` : "/api/invitation",
      { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
    const body = await answer.json();
    if (!answer.ok) {
      refusedNow(body.title ?? "This meeting does not let you in. Ask for a new link.");
      return;
    }
    $("door-title").textContent = body.title;
    document.title = `${body.title} - Hearth`;
    if (typeof body.members === "number") {
      $("door-inside").textContent = ["Nobody is inside yet", "1 person is inside"][body.members] ?? `${body.members} people are inside`;
    }
  } catch {
    refusedNow("The meeting's server does not answer. Check your network, then load the page again.");
  }
}

/** Opens or closes a device as wanted, and shows its state on every button. */
async function useDevice(source) {
  tracks[source]?.stop();
  tracks[source] = null;
  let problem = "";
  if (wanted[source]) {
    try {
      tracks[source] = await openDevice(KIND[source], $(source).value, options.has("raw"));
      tracks[source].addEventListener("ended", () => deviceEnded(source));
    } catch (error) {
      problem = error.message;
      wanted[source] = false;
    }
  }
  if (page.phase === "call") {
    if (problem) note(problem);
  } else {
    $("device-problem").textContent = problem;
  }
  showDevice(source);
  await meeting?.setSource(source, tracks[source]);
}

function deviceEnded(source) {
  wanted[source] = false;
  note(`Your ${source} was disconnected. Connect it and turn it on again.`);
  useDevice(source);
}

function showDevice(source) {
  const on = tracks[source] !== null;
  const words = source === "microphone" ? ["Unmute", "Mute"] : ["Camera on", "Camera off"];
  for (const button of [$(`door-${source}`), $(`call-${source}`)]) {
    button.setAttribute("aria-pressed", String(on));
    button.title = `${source === "microphone" ? "Microphone" : "Camera"} ${on ? "on" : "off"}`;
    button.querySelector("use").setAttribute("href", `#icon-${source}${on ? "" : "-off"}`);
  }
  $(`call-${source}`).querySelector("span").textContent = words[Number(on)];
  if (source === "camera") {
    $("self-view").srcObject = on ? new MediaStream([tracks.camera]) : null;
    $("self-view-words").hidden = on;
    if (meeting?.me) page.tiles.attach(meeting.me, "video", tracks.camera);
  } else {
    stopLevel?.();
    stopLevel = on && page.phase === "door" ? watchLevel(tracks.microphone, (level) => { $("level").value = level; }) : null;
    $("level").value = 0;
  }
}

async function toggle(source) {
  const button = $(`${page.phase === "call" ? "call" : "door"}-${source}`);
  if (button.disabled) return;
  button.disabled = true; // one change at a time: opening a device may take seconds
  wanted[source] = !wanted[source];
  try {
    await useDevice(source);
  } finally {
    button.disabled = false;
  }
}

async function join(name) {
  name = name.trim();
  if (!name) { refusedNow("Type your name, so that the others know who you are."); $("name").focus(); return; }
  if ([...name].length > MAX_NAME) { refusedNow(`Use ${MAX_NAME} characters or fewer for your name. This one has ${[...name].length}.`); $("name").focus(); return; }
  refusedNow("");
  $("join").disabled = true;
  meeting = new Meeting(address(), name);
  listenTo(meeting);
  for (const source of Object.keys(tracks)) meeting.setSource(source, tracks[source]);
  try {
    await meeting.join();
    try { localStorage.setItem("hearth.name", name); } catch { /* private window: the name is not kept */ }
    enter();
  } catch (refusal) {
    meeting = null;
    page.words = "";
    $("door-inside").textContent = "";
    refusedNow(refusal.sentence ?? "Joining did not work. Load the page again.");
  } finally {
    $("join").disabled = false;
  }
}

function listenTo(current) {
  const on = (type, act) => current.addEventListener(type, (event) => act(event.detail));
  on("state", (words) => {
    page.words = words;
    $("call-state").textContent = words;
    if (page.phase === "door") $("door-inside").textContent = words;
  });
  on("members", () => {
    const everybody = [...current.members.values()];
    page.tiles.update(everybody, current.me);
    $("call-title").textContent = current.title;
    $("call-count").textContent = everybody.length === 1 ? "Only you are here" : `${everybody.length} people`;
  });
  on("held", ({ member, words }) => page.tiles.held(member, words));
  on("speaker", (member) => page.tiles.speaker(member));
  on("track", ({ producer, member, kind, track }) => {
    if (member === null) { voices.attach(producer, track); return; }
    page.tiles.attach(member, kind, track);
    if (kind === "video" && track) timeFirstFrame(member);
  });
  on("note", note);
  on("over", (refusal) => leaveCall(refusal));
}

function timeFirstFrame(member) {
  const start = performance.now();
  if (page.firstFrames.has(member)) return;
  page.tiles.media(member, "video")?.requestVideoFrameCallback?.(() => page.firstFrames.set(member, performance.now() - start));
}

function enter() {
  page.phase = "call";
  $("door").hidden = true;
  $("call").hidden = false;
  stopLevel?.();
  stopLevel = null;
  page.tiles.attach(meeting.me, "video", tracks.camera);
}

function leaveCall(refusal) {
  meeting = null;
  page.phase = "door";
  page.words = "";
  page.tiles.clear();
  voices.clear();
  page.firstFrames.clear();
  $("call").hidden = true;
  $("door").hidden = false;
  $("unmute-page").hidden = true;
  $("door-inside").textContent = refusal ? "" : "You left the meeting";
  refusedNow(refusal?.sentence ?? "");
  showDevice("microphone");
}

function note(sentence) {
  clearTimeout(noteTimer);
  $("call-note").textContent = sentence;
  $("call-note").hidden = false;
  noteTimer = setTimeout(() => { $("call-note").hidden = true; }, NOTE_MS);
}

function wire() {
  $("door-form").addEventListener("submit", (event) => { event.preventDefault(); join($("name").value); });
  for (const source of Object.keys(tracks)) {
    $(`door-${source}`).addEventListener("click", () => toggle(source));
    $(`call-${source}`).addEventListener("click", () => toggle(source));
    $(source).addEventListener("change", () => { wanted[source] = true; useDevice(source); });
  }
  $("leave").addEventListener("click", () => meeting?.leave());
  $("unmute-page").addEventListener("click", () => { page.tiles.resume(); voices.resume(); $("unmute-page").hidden = true; });
  addEventListener("pagehide", () => meeting?.leave());
  addEventListener("hashchange", () => location.reload());
  addEventListener("keydown", (event) => {
    if (page.phase !== "call" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "m") toggle("microphone");
    if (event.key.toLowerCase() === "v") toggle("camera");
  });
  navigator.mediaDevices?.addEventListener?.("devicechange", () => refreshDevices());
}

async function refreshDevices() {
  for (const source of Object.keys(tracks)) await listDevices($(source), KIND[source]);
}

async function start() {
  observe(page);
  wire();
  try { $("name").value = localStorage.getItem("hearth.name") ?? ""; } catch { /* private window */ }
  for (const source of (options.get("without") ?? "").split(",")) if (source in wanted) wanted[source] = false;
  await Promise.all([lookInside(), useDevice("camera").then(() => useDevice("microphone"))]);
  await refreshDevices();
  // Without a token there is nothing to join, and the door has said so.
  if (options.has("autojoin") && !$("join").disabled) await join(options.get("name") ?? "Guest");
}

start();
