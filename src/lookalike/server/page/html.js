// @ts-check
// The renderer: Preact with templates instead of JSX. Texts are always set as text, never as markup.

import { h } from "./vendor/preact.js";
import { useLayoutEffect, useReducer, useRef } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";
import { state, subscribe } from "./store.js";

export { Fragment, render } from "./vendor/preact.js";
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";

/** Template tag: html`<${Tile} item=${item} />`. */
export const html = htm.bind(h);

/**
 * Return a part of the state; the component is drawn again when it changes.
 *
 * @template T
 * @param {(state: import("./store.js").State) => T} select  must return the same object while nothing has changed
 * @returns {T}
 */
export function useStore(select) {
  const [, redraw] = useReducer((/** @type {number} */ n) => n + 1, 0);
  const value = select(state);
  const shown = useRef({ select, value });
  shown.current = { select, value };
  useLayoutEffect(() => {
    const check = () => { if (!Object.is(shown.current.select(state), shown.current.value)) redraw(); };
    check();   // the state may have changed between drawing and this
    return subscribe(check);
  }, []);
  return value;
}

/** Return a component that is drawn again only if one of its attributes has changed. */
export function memo(component) {
  /** @this {any} */
  function Memo(props) {
    this.shouldComponentUpdate = (next) => {
      for (const name in next) if (!Object.is(next[name], this.props[name])) return true;
      for (const name in this.props) if (!(name in next)) return true;
      return false;
    };
    return h(component, props);
  }
  return Memo;
}
