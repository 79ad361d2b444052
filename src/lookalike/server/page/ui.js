// @ts-check
// Small parts that every view uses: icons, buttons, menus, messages.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { canRetry, messageOf, tryOrToast } from "./messages.js";
import { t } from "./words.js";

const ICONS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM20 20l-4.9-4.9",
  image: "M4 5h16v14H4zM4 16l4.500-4.500 4 4 3-3L20 17M15.500 9.200a.8.8 0 1 0 .01 0",
  camera: "M4 8h3.500L9 5.500h6L16.500 8H20v11H4zM12 10a3.200 3.200 0 1 0 .01 0",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  sliders: "M4 7h9M17 7h3M15 4.800v4.400M4 17h3M11 17h9M9 14.800v4.400",
  filter: "M4 6h16M7 12h10M10 18h4",
  map: "M6 6.500a1.500 1.500 0 1 0 .01 0M17 5a1.500 1.500 0 1 0 .01 0M12 12a1.500 1.500 0 1 0 .01 0M5.500 17a1.500 1.500 0 1 0 .01 0M18 16a1.500 1.500 0 1 0 .01 0",
  browse: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  copies: "M4 8h11v11H4zM8 8V5h12v11h-5",
  library: "M5 4v16M9.500 4v16M13 4.600l4.500 15.200",
  box: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4",
  back: "M15 5l-7 7 7 7",
  forward: "M9 5l7 7-7 7",
  down: "M6 9l6 6 6-6",
  undo: "M8 5L4 9l4 4M4 9h10a5 5 0 0 1 0 10h-4",
  lasso: "M7 17c-2.500-.8-4-2.700-4-5 0-3.900 4-7 9-7s9 3.100 9 7-4 6.500-9 6.500c-1 0-2.500-.2-3.500-.5M7 14.500a1.800 1.800 0 1 0 .01 0M7 18c0 1.500-.6 2.500-2 3",
  edit: "M5 19l1-4L16.500 4.500l3 3L9 18zM14 7l3 3",
  check: "M5 12.500l4.500 4.500L19 7.500",
  menu: "M12 6a.6.6 0 1 0 .01 0M12 12a.6.6 0 1 0 .01 0M12 18a.6.6 0 1 0 .01 0",
  tag: "M4 4h7l9 9-7 7-9-9zM8 8a.5.5 0 1 0 .01 0",
  export: "M12 4v11M7.500 10.500L12 15l4.500-4.500M5 20h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  play: "M7 4l13 8-13 8z",
  compare: "M12 3v18M4 6h8M4 18h8M12 6h8v12h-8",
  info: "M12 3.500a8.500 8.500 0 1 0 .01 0M12 11v5M12 7.800a.3.3 0 1 0 .01 0",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  palette: "M12 4a8 8 0 1 0 0 16c1.500 0 1.500-1.500 1-2.500s0-2 1.500-2H17a3 3 0 0 0 3-3c0-4.500-3.500-8.500-8-8.500zM8 12a.6.6 0 1 0 .01 0M10 8a.6.6 0 1 0 .01 0M15 8.500a.6.6 0 1 0 .01 0",
  clock: "M12 4a8 8 0 1 0 .01 0M12 8v4.500l3 2",
};

/** An icon is decoration: the button around it needs a label. */
export function Icon({ name }) {
  return html`<svg viewBox="0 0 24 24" class="icon" aria-hidden="true" focusable="false"><path d=${ICONS[name]} /></svg>`;
}

/** A button with an icon, a label, or both. `bare`: the label is not visible but read and shown on hover. */
export function Button({ label, icon = "", bare = false, children = null, ...attributes }) {
  const labels = bare ? { "aria-label": label, title: label } : {};
  return html`<button type="button" ...${labels} ...${attributes}>
    ${icon && html`<${Icon} name=${icon} />`}${!bare && html`<span>${label}</span>`}${children}</button>`;
}

/** A row of buttons of which one is pressed. `options`: [value, text, name for screen readers]. */
export function Segments({ options, value, onChange, label }) {
  return html`<div class="segments" role="group" aria-label=${label}>${options.map(([each, text, name]) => html`
    <button type="button" key=${each} aria-pressed=${String(each === value)} aria-label=${name} onclick=${() => onChange(each)}>${text}</button>`)}</div>`;
}

/** A button that opens a menu under it. `children`: a function of `close`, so that a closed menu costs nothing. */
export function Menu({ label, icon = "", bare = false, class: className = "", id, children, opener = null, width = 260 }) {
  const menu = useRef(/** @type {any} */ (null)), button = useRef(/** @type {any} */ (null));
  const close = () => menu.current?.hidePopover();
  const place = (event) => {
    if (event.newState !== "open") return;
    const { left, right, bottom, top } = button.current.getBoundingClientRect();
    const { style } = menu.current;
    style.left = `${Math.max(8, Math.min(right - width > 8 && right > innerWidth / 2 ? right - width : left, innerWidth - width - 8))}px`;
    style.width = `${width}px`;
    const above = bottom > innerHeight * 0.7;
    style.top = above ? "auto" : `${bottom + 6}px`;
    style.bottom = above ? `${innerHeight - top + 6}px` : "auto";
    style.maxHeight = `${(above ? top : innerHeight - bottom) - 20}px`;
  };
  return html`
    <button type="button" ref=${button} class=${className} popovertarget=${id} aria-label=${bare || opener ? label : undefined} title=${bare ? label : undefined}>
      ${opener ?? html`${icon && html`<${Icon} name=${icon} />`}${!bare && html`<span>${label}</span>`}`}</button>
    <div popover="auto" class="menu" id=${id} ref=${menu} onbeforetoggle=${place}
      ontoggle=${(event) => { if (event.newState === "open") menu.current.querySelector("input[type=text]")?.focus(); }}>${children(close)}</div>`;
}

/** A modal dialog; Escape and a click beside it close it. */
export function Dialog({ label, class: className = "", onClose, children }) {
  const dialog = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => { dialog.current.showModal(); }, []);
  return html`<dialog ref=${dialog} class=${className} aria-label=${label}
    oncancel=${(event) => { event.preventDefault(); onClose(); }}
    onclick=${(event) => { if (event.target === dialog.current) onClose(); }}>${children}</dialog>`;
}

/** Split a message at its backticks; quoted parts become <code>. */
const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));

/** An error in place of what failed. `retry`: called by "Try again", which is offered if that can help. */
export function ErrorMessage({ error, retry = null }) {
  return html`<div class="error-message" role="alert"><p>${withCode(messageOf(error))}</p>
    ${retry && canRetry(error) && html`<${Button} label=${t("tryAgain")} onclick=${retry} />`}</div>`;
}

/** Return a component that is loaded when it is first shown. */
export function lazy(load) {
  return function Lazy(attributes) {
    const [View, setView] = useState(/** @type {any} */ (null));
    useEffect(() => { tryOrToast(async () => { const found = await load(); setView(() => found); }); }, []);
    return View && html`<${View} ...${attributes} />`;
  };
}

/** What takes a while to load. */
export function Loading({ text, more = "" }) {
  return html`<div class="empty" role="status"><p>${text}</p><progress aria-label=${text} />${more && html`<p>${more}</p>`}</div>`;
}

/** Return a function that calls `action` once it has not been called for `ms` milliseconds. */
export function debounce(ms, action) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...args), ms);
  };
}

/** Is the target of a key event a place where people type? */
export const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName)
    || (target.tagName === "INPUT" && !/^(checkbox|radio|button|range)$/.test(/** @type {HTMLInputElement} */ (target).type)));

/** Hide images that cannot be loaded: browsers draw a frame in their place. */
export function hideMissingImages() {
  const mark = (event) => { if (event.target instanceof HTMLImageElement) event.target.classList.toggle("missing", event.type === "error"); };
  document.addEventListener("error", mark, true);
  document.addEventListener("load", mark, true);
}
