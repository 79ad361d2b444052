// Rows of pictures that fill the width, laid out from their sizes alone: nothing moves when a picture arrives.
// Items are added as they come. A row is given out only when it is full (or nothing more comes), so
// what has been given out never changes its place.

const NARROWEST = 0.5, WIDEST = 2.6;   // shapes beyond these are cut by the tile, not by the row

/** Width by height as the tile shows it; a square where the size is not known. */
export function shape(item) {
  const ratio = item.width && item.height ? item.width / item.height : 1;
  return Math.min(WIDEST, Math.max(NARROWEST, ratio));
}

/** How high rows should be for this width. */
export const rowHeight = (width) => (width < 520 ? 118 : width < 900 ? 158 : width < 1500 ? 186 : 214);

/**
 * A layout for this width. `add(items, ended)` gives the boxes that have become certain, in order:
 * {item, x, y, width, height}. An item {heading, height} takes a line of its own.
 */
export function flow({ width, row = rowHeight(width), gap = 6 }) {
  let y = 0;
  let waiting = [];
  let ratios = 0;

  function close(stretch) {
    const space = width - gap * (waiting.length - 1);
    const full = space / ratios;
    const height = stretch ? full : Math.min(full, lone());
    let x = 0;
    const boxes = waiting.map((item) => {
      const box = { item, x, y, width: shape(item) * height, height };
      x += box.width + gap;
      return box;
    });
    y += height + gap;
    waiting = [];
    ratios = 0;
    return boxes;
  }

  /** The height that a full row of such shapes would have, for a row that is not full. */
  function lone() {
    const ratio = ratios / waiting.length;
    const fit = Math.ceil((width + gap) / (ratio * row + gap));
    return (width - gap * (fit - 1)) / (fit * ratio);
  }

  function add(items, ended) {
    const boxes = [];
    for (const item of items) {
      if (item.heading) {
        if (waiting.length) boxes.push(...close(false));
        boxes.push({ item, x: 0, y, width, height: item.height });
        y += item.height;
        continue;
      }
      waiting.push(item);
      ratios += shape(item);
      if (ratios * row + gap * (waiting.length - 1) >= width) boxes.push(...close(true));
    }
    if (ended && waiting.length) boxes.push(...close(false));
    return boxes;
  }

  return { add, bottom: () => y };
}

/** The half-open range of boxes (sorted by y, rows of one height) that touch [top, bottom]. */
export function between(boxes, top, bottom) {
  const first = (test) => {
    let low = 0, high = boxes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(boxes[middle])) high = middle; else low = middle + 1;
    }
    return low;
  };
  return [first((box) => box.y + box.height >= top), first((box) => box.y > bottom)];
}
