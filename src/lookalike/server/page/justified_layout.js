// @ts-check
// Justified rows: images of equal height that fill the width, laid out from their sizes alone, so that nothing moves
// when an image loads. Items are added as they arrive. A row is returned once it is full, or nothing more follows;
// boxes that were returned never move.

const MIN_RATIO = 0.5, MAX_RATIO = 2.6;   // width by height; more extreme images are cropped by their tile

/** Return the width by height that the tile of an item has; 1 if its size is unknown. */
function aspectRatio(item) {
  if (item.ratio) return item.ratio;
  const ratio = item.width && item.height ? item.width / item.height : 1;
  return Math.min(MAX_RATIO, Math.max(MIN_RATIO, ratio));
}

/**
 * Create a layout.
 *
 * @param {{width: number, row: number, gap?: number, below?: number}} options  in pixels; `below`: for what stands under an image
 * @returns {{add: (items: object[], isLast: boolean) => object[], bottom: () => number}}  `add` returns the boxes that
 *   have become final, in order: {item, x, y, width, height}; `height` includes `below`. An item {heading, height} has
 *   a line of its own; an item {ratio} stands in the row among the images.
 */
export function justifiedLayout({ width, row, gap = 6, below = 0 }) {
  let y = 0;
  let pending = [];    // items of the row that is not full yet
  let ratioSum = 0;

  function closeRow(isFull) {
    const fullHeight = (width - gap * (pending.length - 1)) / ratioSum;
    const height = isFull ? fullHeight : Math.min(fullHeight, typicalHeight());
    let x = 0;
    const boxes = pending.map((item) => {
      const box = { item, x, y, width: aspectRatio(item) * height, height: height + below };
      x += box.width + gap;
      return box;
    });
    y += height + below + gap;
    pending = [];
    ratioSum = 0;
    return boxes;
  }

  /** Return the height that a full row of images of the mean ratio would have. */
  function typicalHeight() {
    const ratio = ratioSum / pending.length;
    const perRow = Math.ceil((width + gap) / (ratio * row + gap));
    return (width - gap * (perRow - 1)) / (perRow * ratio);
  }

  function add(items, isLast) {
    const boxes = [];
    for (const item of items) {
      if (item.heading) {
        if (pending.length) boxes.push(...closeRow(false));
        boxes.push({ item, x: 0, y, width, height: item.height });
        y += item.height;
        continue;
      }
      pending.push(item);
      ratioSum += aspectRatio(item);
      if (ratioSum * row + gap * (pending.length - 1) >= width) boxes.push(...closeRow(true));
    }
    if (isLast && pending.length) boxes.push(...closeRow(false));
    return boxes;
  }

  return { add, bottom: () => y };
}

/** Return the half-open range of boxes (sorted by y, of one height in each row) that intersect [top, bottom]. */
export function visibleRange(boxes, top, bottom) {
  const firstWhere = (test) => {
    let low = 0, high = boxes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(boxes[middle])) high = middle; else low = middle + 1;
    }
    return low;
  };
  return [firstWhere((box) => box.y + box.height >= top), firstWhere((box) => box.y > bottom)];
}
