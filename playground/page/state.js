// What the address says after #: everything that a link must bring back, and what a lesson hides.

export const DEFAULTS = {
  view: "play", data: "tutorial", rows: "200", noise: "0.1", dseed: "1", test: "0", scale: "none",
  hidden: "3,2", activation: "relu", init: "normal:0.001", optimizer: "gradient_descent", rate: "0.001", batch: "all", l2: "0",
  seed: "1", start: "figure8", row: "1", weight: "", lesson: "", hide: "", run: "0",
};

/** Other choices for data whose columns and classes differ from the tutorial's. */
export const FOR_TOYS = { hidden: "6,4", activation: "tanh", init: "glorot_uniform", optimizer: "adam", rate: "0.01", batch: "32", start: "seed", test: "0.3", scale: "standard" };
export const FOR_CSV = { ...FOR_TOYS, hidden: "8,8", activation: "relu", init: "he_normal" };

export function read(hash = location.hash) {
  const given = Object.fromEntries(new URLSearchParams(hash.replace(/^#/, "")));
  const toys = given.data && given.data !== "tutorial" ? (given.data === "csv" ? FOR_CSV : FOR_TOYS) : {};
  const state = { ...DEFAULTS, ...toys };
  for (const key of Object.keys(DEFAULTS)) if (key in given) state[key] = given[key];
  return state;
}

export function write(state) {
  const base = { ...DEFAULTS, ...(state.data === "tutorial" ? {} : state.data === "csv" ? FOR_CSV : FOR_TOYS) };
  const changed = Object.entries(state).filter(([key, value]) => key === "data" ? value !== "tutorial" : String(value) !== base[key]);
  const text = new URLSearchParams(changed).toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return `#${text}`;
}

export const hidden = (state) => new Set(state.hide.split(",").filter(Boolean));
