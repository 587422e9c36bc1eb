// The grid of people: one tile a member, as large as the window allows.

const GAP = 8; // px, as in style.css
const SHAPE = 16 / 9;

/** Columns and tile width (px) that make `count` 16:9 tiles largest in a room of width x height (px). */
export function arrange(count, width, height) {
  let best = { columns: 1, tileWidth: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - GAP * (columns - 1)) / columns;
    const byHeight = ((height - GAP * (rows - 1)) / rows) * SHAPE;
    const tileWidth = Math.floor(Math.min(byWidth, byHeight));
    if (tileWidth > best.tileWidth) best = { columns, tileWidth };
  }
  return best;
}

/** A hue (degrees) that stays with a name; lightness is the same for all, in the style sheet. */
export function hueOf(name) {
  let hash = 2166136261;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 16777619) >>> 0;
  return hash % 360;
}

function initialsOf(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toUpperCase() || "?";
}

function make(tag, className, properties = {}) {
  return Object.assign(document.createElement(tag), { className, ...properties });
}

function crossedMicrophone() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#icon-microphone-off");
  svg.setAttribute("class", "tile-muted");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Muted");
  svg.append(use);
  return svg;
}

class Tile {
  constructor(isMe) {
    this.isMe = isMe;
    this.sources = {}; // kind -> track
    this.element = make("article", "tile");
    this.initials = make("span", "tile-initials", { ariaHidden: "true" });
    this.name = make("span", "tile-name");
    this.held = make("span", "tile-held", { hidden: true });
    this.away = make("span", "tile-away", { textContent: "Connection lost", hidden: true });
    this.muted = crossedMicrophone();
    const label = make("div", "tile-label");
    label.append(this.muted, this.name, this.away);
    this.element.append(this.initials, this.held, label);
    this.video = null;
    this.audio = null;
  }

  show(member) {
    const name = this.isMe ? `${member.name} (you)` : member.name;
    this.element.dataset.member = member.id;
    this.element.setAttribute("aria-label", [name, member.microphone ? "" : "muted", member.camera ? "" : "camera off"]
      .filter(Boolean).join(", "));
    this.name.textContent = name;
    this.initials.textContent = initialsOf(member.name);
    this.element.style.setProperty("--hue", hueOf(member.name));
    this.muted.toggleAttribute("hidden", member.microphone);
    this.away.hidden = member.connected;
    this.camera = member.camera;
    this.#dress();
  }

  /** Says why no picture comes just now; "" when it comes again. */
  hold(words) {
    this.held.textContent = words;
    this.#dress();
  }

  #dress() {
    const held = this.held.textContent !== "";
    this.held.hidden = !held || !this.camera;
    this.element.classList.toggle("no-picture", !this.camera || !this.sources.video || held);
  }

  /** Shows or plays `track`; null takes the old one away. A new element each time: no last frame of somebody else. */
  attach(kind, track, blocked) {
    this[kind]?.remove();
    this[kind] = null;
    this.sources[kind] = track;
    if (kind === "video") this.held.textContent = ""; // told anew of another stream
    if (track && !(kind === "audio" && this.isMe)) {
      const element = make(kind, "", { autoplay: true, playsInline: true, muted: kind === "video" });
      element.srcObject = new MediaStream([track]);
      element.play().catch((error) => { if (error.name === "NotAllowedError") blocked(); });
      this.element.prepend(element);
      this[kind] = element;
    }
    this.#dress();
  }
}

/** All tiles. Call `update` when people change, `attach` when a track comes or goes (track null). */
export class Tiles {
  #grid;
  #tiles = new Map();
  #blocked;

  /** `blocked()` is called when the browser wants a click before it plays sound. */
  constructor(grid, blocked) {
    this.#grid = grid;
    this.#blocked = blocked;
    new ResizeObserver(() => this.#arrange()).observe(grid);
  }

  update(members, me) {
    for (const [id, tile] of this.#tiles) {
      if (members.some((member) => member.id === id)) continue;
      tile.attach("video", null);
      tile.attach("audio", null);
      tile.element.remove();
      this.#tiles.delete(id);
    }
    for (const member of members) {
      const tile = this.#tiles.get(member.id) ?? this.#add(member.id, member.id === me);
      tile.show(member);
    }
    this.#arrange();
  }

  attach(member, kind, track) {
    this.#tiles.get(member)?.attach(kind, track, this.#blocked);
  }

  held(member, words) {
    this.#tiles.get(member)?.hold(words);
  }

  speaker(id) {
    for (const [member, tile] of this.#tiles) tile.element.classList.toggle("speaking", member === id);
  }

  /** The <video> or <audio> element of a member, or null. */
  media(member, kind) {
    return this.#tiles.get(member)?.[kind] ?? null;
  }

  /** Plays everything once more, after a click. */
  resume() {
    for (const tile of this.#tiles.values()) tile.audio?.play();
  }

  clear() {
    this.update([], null);
  }

  #add(id, isMe) {
    const tile = new Tile(isMe);
    this.#tiles.set(id, tile);
    this.#grid.append(tile.element);
    return tile;
  }

  #arrange() {
    const { tileWidth } = arrange(this.#tiles.size, this.#grid.clientWidth, this.#grid.clientHeight);
    this.#grid.style.setProperty("--tile-width", `${Math.max(tileWidth, 64)}px`);
  }
}
