// Creates elements. Texts are always set as text, never as markup.

/** Create an element. Attributes named "on…" are listeners; true sets an empty attribute; false, null and undefined
 * set none. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const ICON_PATHS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM20 20l-4.9-4.9",
  image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 3-3L20 17M15.5 9.2a.8.8 0 1 0 .01 0",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 10a3.2 3.2 0 1 0 .01 0",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  sliders: "M4 7h9M17 7h3M15 4.8v4.4M4 17h3M11 17h9M9 14.8v4.4",
  map: "M6 6.5a1.5 1.5 0 1 0 .01 0M17 5a1.5 1.5 0 1 0 .01 0M12 12a1.5 1.5 0 1 0 .01 0M5.5 17a1.5 1.5 0 1 0 .01 0M18 16a1.5 1.5 0 1 0 .01 0",
  copies: "M4 8h11v11H4zM8 8V5h12v11h-5",
  library: "M5 4v16M9.5 4v16M13 4.6l4.5 15.2",
  box: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4",
  back: "M15 5l-7 7 7 7",
  forward: "M9 5l7 7-7 7",
  open: "M13 5h6v6M19 5l-8 8M10 6H5v13h13v-5",
  undo: "M8 5L4 9l4 4M4 9h10a5 5 0 0 1 0 10h-4",
  lasso: "M7 17c-2.5-.8-4-2.7-4-5 0-3.900 4-7 9-7s9 3.100 9 7-4 6.500-9 6.500c-1 0-2.500-.2-3.500-.5M7 14.500a1.800 1.800 0 1 0 .01 0M7 18c0 1.500-.6 2.500-2 3",
  share: "M9.500 14.500l5-5M8 11l-2.500 2.500a3.500 3.500 0 0 0 5 5L13 16M11 8l2.500-2.500a3.500 3.500 0 0 1 5 5L16 13",
  check: "M5 12.500l4.500 4.500L19 7.500",
};

/** Create an icon. It is decoration: the button around it needs a label. */
export function icon(name) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", "icon"], ["aria-hidden", "true"], ["focusable", "false"]]) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", ICON_PATHS[name]);
  svg.append(path);
  return svg;
}

/** Create a button with an icon and a label. `bare`: the label is not visible. */
export function button(label, iconName, onclick, { bare = false, ...attributes } = {}) {
  const labels = bare ? { "aria-label": label, title: label } : {};
  return el("button", { type: "button", ...labels, onclick, ...attributes },
    iconName ? icon(iconName) : null, bare ? null : el("span", {}, label));
}

/** Create a message for what takes a while to load. */
export function loadingMessage(text, more = "") {
  return el("div", { class: "empty", role: "status" }, el("p", {}, text),
    el("progress", { "aria-label": text }), more ? el("p", {}, more) : null);
}

/** Replace the children of a node. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** Return a function that calls `action` once it has not been called for `ms` milliseconds. */
export function debounce(ms, action) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...args), ms);
  };
}

let announcing = 0;
/** Announce a text to screen readers. */
export function announce(text) {
  const region = document.getElementById("announcement");
  clearTimeout(announcing);
  region.textContent = "";
  announcing = setTimeout(() => { region.textContent = text; }, 50);
}

/** Is the target of a key event a place where people type? */
export const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName)
    || (target.tagName === "INPUT" && !/^(checkbox|radio|button|range)$/.test(target.type)));
