// How large each person is shown, so that the server sends pictures that fit and none that nobody sees.

// px; a tile is rounded up to the next. More steps would tell of every drag at the window's edge.
const STEPS = [180, 360, 720, 1080, 2160, 4320];
const REST_MS = 200; // sizes must rest for so long before they are told: each change may cost a key frame
const MOST = 128; // producers in one message

/** The step for a picture of `height` px; 0 for one that is not shown. */
export function rounded(height) {
  return height <= 0 ? 0 : STEPS.find((step) => height <= step) ?? STEPS.at(-1);
}

/** Watches the tiles of `grid` (its children with data-member); `changed(heights)` gets px by member, 0 where unseen. */
export class Tilewatch {
  #grid;
  #changed;
  #seen = new Map(); // tile -> whether any of it can be seen
  #timer = null;
  #sizes = new ResizeObserver(() => this.#soon());
  #sights = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (this.#seen.has(target)) this.#seen.set(target, isIntersecting);
    this.#soon();
  });

  constructor(grid, changed) {
    this.#grid = grid;
    this.#changed = changed;
    new MutationObserver(() => this.#follow()).observe(grid, { childList: true });
    document.addEventListener("visibilitychange", () => this.#soon());
    this.#follow();
  }

  #follow() {
    for (const tile of this.#seen.keys()) {
      if (tile.parentElement === this.#grid) continue;
      this.#sizes.unobserve(tile);
      this.#sights.unobserve(tile);
      this.#seen.delete(tile);
    }
    for (const tile of this.#grid.children) {
      if (this.#seen.has(tile)) continue;
      this.#seen.set(tile, true);
      this.#sizes.observe(tile);
      this.#sights.observe(tile);
    }
    this.#soon();
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), REST_MS);
  }

  #tell() {
    const shown = (tile) => (document.hidden || !this.#seen.get(tile) ? 0 : tile.clientHeight * devicePixelRatio);
    this.#changed(new Map([...this.#seen.keys()].map((tile) => [tile.dataset.member, shown(tile)])));
  }
}

/** Compares what is shown with what the server knows of it. One for each media path. */
export class View {
  #request;
  #told = "{}";
  #unknown = false;

  /** `request(message)` sends a signalling request and resolves with its answer. */
  constructor(request) {
    this.#request = request;
  }

  /** Tells the server if it does not know. `heights`: px by member; `producers`: what is received. */
  async tell(heights, producers) {
    const steps = new Map([...heights].map(([member, height]) => [member, rounded(height)]));
    const shown = [...steps.values()].filter(Boolean);
    // Who has just come gets a tile in a moment, and none that is larger than those of the others.
    const newcomer = shown.length ? Math.min(...shown) : undefined;
    const sizes = producers.filter((producer) => producer.kind === "video").slice(0, MOST)
      .map(({ id, member }) => [id, steps.get(member) ?? newcomer]).filter(([, height]) => height !== undefined);
    const message = { sizes: Object.fromEntries(sizes) };
    const text = JSON.stringify(sizes.length ? message.sizes : {});
    if (this.#unknown || text === this.#told) return;
    this.#told = text;
    try {
      await this.#request({ type: "media.view", ...message });
    } catch (refusal) {
      this.#told = "{}";
      if (refusal.code === "message-unknown") this.#unknown = true; // an older server: it sends everything
    }
  }
}

const HELD = {
  bandwidth: "Paused: your network is too slow for this picture",
  load: "Paused: the server is busy",
  "last-n": "Shown when speaking",
};

/** What a tile says instead of a picture, from media.forwarded; "" when there is nothing to say. */
export function wordsFor({ state, reason }) {
  if (state !== "paused" || reason === "hidden" || reason === "wanted") return "";
  return HELD[reason] ?? "Paused";
}
