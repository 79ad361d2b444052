// @ts-check
// The state of the page, in one place. Views read it with `useStore` (html.js); actions change it with `update`.

/**
 * @typedef {object} State
 * @property {import("./address.js").Address} address  what the address of the page says; changed by `navigate`
 * @property {any} library      response of /api/info with `fields` of /api/fields; null until it is loaded
 * @property {any} job          the latest job of the server; null until it is loaded
 * @property {any} results      images or hits on the search screen (results.js)
 * @property {any[]} siblings   images of the grid that is shown; the large view goes from one to the next
 * @property {ReadonlySet<number>} selection  ids of the selected images, shared by all screens
 * @property {any[]} toasts
 * @property {any} settings     what a person has chosen for this browser (settings.js)
 * @property {string} dialog    open dialog: "", "help", "token"
 * @property {any} menu         the image whose menu is open (tile_menu.js), or null
 * @property {any} startError   why the library could not be loaded
 */

/** @type {State} */
export const state = {
  address: /** @type {any} */ (null),
  library: null,
  job: null,
  results: null,
  siblings: [],
  selection: new Set(),
  toasts: [],
  settings: {},
  dialog: "",
  menu: null,
  startError: null,
};

/** @type {Set<() => void>} */
const listeners = new Set();

/** Call `listener` after every change. Returns a function that ends this. */
export function subscribe(listener) {
  listeners.add(listener);
  return () => { listeners.delete(listener); };
}

/**
 * Change parts of the state. Objects in it are never changed in place.
 *
 * @param {Partial<State>} changes
 */
export function update(changes) {
  Object.assign(state, changes);
  for (const listener of [...listeners]) listener();
}
