// @ts-check
// Selecting by a drag over a grid: a rectangle from where the pointer went down.

const MIN_DRAG = 6;   // pixels; shorter ones are clicks

/**
 * Call `onSelect` with the rectangle of every drag that begins between images, or anywhere while images are selected.
 *
 * @param {HTMLElement} list
 * @param {(area: {left: number, top: number, right: number, bottom: number}) => void} onSelect  in pixels of the list
 * @returns {() => void} ends listening
 */
export function listenForMarquee(list, onSelect) {
  const start = (down) => {
    if (down.button || down.pointerType === "touch" || down.ctrlKey || down.metaKey || down.shiftKey) return;
    const isOnImage = down.target.closest("a, button");
    if (isOnImage && !document.body.classList.contains("has-selection")) return;
    if (down.target.closest("button")) return;
    const positionOf = (event) => {
      const { left, top } = list.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    const from = positionOf(down);
    /** @type {HTMLElement | null} */
    let outline = null;
    const move = (event) => {
      const to = positionOf(event);
      if (!outline && Math.hypot(to[0] - from[0], to[1] - from[1]) < MIN_DRAG) return;
      if (!outline) { outline = document.createElement("li"); outline.className = "marquee"; outline.role = "presentation"; list.append(outline); }
      const [left, top] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
      Object.assign(outline.style, { transform: `translate(${left}px, ${top}px)`, width: `${Math.abs(to[0] - from[0])}px`, height: `${Math.abs(to[1] - from[1])}px` });
      event.preventDefault();
    };
    const end = (event) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      if (!outline) return;
      outline.remove();
      addEventListener("click", (click) => { click.preventDefault(); click.stopPropagation(); }, { capture: true, once: true });
      setTimeout(() => dispatchEvent(new Event("marquee-end")), 0);
      if (event.type === "pointercancel") return;
      const to = positionOf(event);
      onSelect({ left: Math.min(from[0], to[0]), right: Math.max(from[0], to[0]), top: Math.min(from[1], to[1]), bottom: Math.max(from[1], to[1]) });
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  };
  list.addEventListener("pointerdown", start);
  return () => list.removeEventListener("pointerdown", start);
}
