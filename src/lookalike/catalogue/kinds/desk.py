"""Draw things on a desk: books, cameras, clocks."""

# fmt: off
# (Corners in rows show a shape better than one corner per line.)

from __future__ import annotations

import numpy as np

from lookalike.catalogue.outlines import box, ellipse, points, smooth, transformed
from lookalike.catalogue.palette import BRASS, CHARCOAL, PAPER, RUBBER, STEEL, darker, lighter
from lookalike.catalogue.patterns import logo_outlines
from lookalike.catalogue.products import Product
from lookalike.catalogue.relief_canvas import Form, Print, ReliefCanvas


def book(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a book standing a little turned: cover, spine and the edge of its pages."""
    w, h = p.between(0, 0.42, 0.54), p.between(1, 0.66, 0.78)
    thick = p.between(2, 0.05, 0.13)
    x0, y0 = 0.5 - (w - thick) / 2, 0.93 - h
    x1, y1 = x0 + w, y0 + h
    lean = 0.045
    spine = points((x0 - thick, y0 - lean * 0.2 + 0.03), (x0, y0), (x0, y1),
        (x0 - thick, y1 - lean))
    pages = points((x0 - thick + 0.012, y0 + 0.03 - lean * 0.2), (x0 + 0.01, y0 + 0.006),
        (x1 - 0.006, y0 + 0.006), (x1 - thick * 0.9, y0 - 0.03))
    canvas.fill(points((x0 - thick, y0 + 0.022), (x1 - thick, y0 - 0.035), (x1, y0),
        (x0, y0 + 0.005)), darker(p.main_rgb, 0.3), Form.FLAT)
    canvas.fill(pages, PAPER, Form.FLAT)
    for t in np.linspace(0.15, 0.85, 5):
        canvas.line(points((x0 - thick * t, y0 + 0.028 * t), (x1 - thick * t * 0.9,
            y0 - 0.03 * t + 0.004)), 0.003, darker(PAPER, 0.4), 0.6)
    ribbon = p.style % 3 == 0
    if ribbon:
        canvas.stroke(smooth([(x0 + w * 0.7, y1 - 0.03), (x0 + w * 0.72, y1 + 0.02),
            (x0 + w * 0.69, y1 + 0.045)], closed=False), 0.025, p.accent_rgb)
    cover = points((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    canvas.fill(spine, darker(p.main_rgb, 0.3), Form.BARREL, gloss=0.25)
    for t in (0.1, 0.16, 0.84, 0.9):
        a, b = y0 + 0.03 + (h - lean - 0.03) * t, y0 + h * t
        canvas.line(points((x0 - thick, a), (x0, b)), 0.008, p.accent_rgb)
    canvas.fill(cover, p.main_rgb, Form.BEVEL, bevel=0.012, gloss=0.3, printed=pattern, contact=0.2)
    canvas.line(points((x0 + 0.035, y0 + 0.004), (x0 + 0.035, y1 - 0.004)), 0.008,
        darker(p.main_rgb, 0.5), 0.6)
    cx, layout = x0 + w / 2 + 0.015, p.style % 3
    ink = CHARCOAL if sum(lighter(p.accent_rgb, 0.5)) > 1.5 else PAPER
    plate = lighter(p.accent_rgb, 0.5)
    ty = y0 + h * (0.14, 0.62, 0.1)[layout]
    canvas.paint(box(cx - w * 0.36, ty, cx + w * 0.36, ty + h * 0.2, 0.01), plate)
    for i, part in enumerate((0.3,
        p.between(4, 0.14, 0.26))):  # two lines of title, as bars of words
        y = ty + h * (0.065 + 0.075 * i)
        x = cx - w * part
        for k in range(2 + (p.style + i) % 3):
            word = w * (0.1 + 0.09 * ((p.style * 7 + k * 3 + i) % 3))
            if x + word > cx + w * part + 0.02:
                break
            canvas.line(points((x, y), (x + word, y)), 0.026 if i == 0 else 0.014, ink)
            x += word + 0.03
    ly = y0 + h * (0.64, 0.33, 0.6)[layout]
    if layout == 2:
        canvas.paint(ellipse(cx, ly, w * 0.34, w * 0.34), p.accent_rgb)
    canvas.paint(logo_outlines(p.logo, cx, ly, w * 0.25), p.logo_rgb)
    canvas.line(points((cx - w * 0.16, y1 - 0.05), (cx + w * 0.16, y1 - 0.05)), 0.01, plate)


def camera(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a camera from the front: mirror reflex, rangefinder or instant camera."""
    style = p.style % 3
    half, top, bottom = p.between(0, 0.37, 0.42), 0.36, p.between(1, 0.74, 0.8)
    x, y = ((0.5, 0.58), (0.52, 0.57), (0.5, 0.6))[style]
    shell = (CHARCOAL, STEEL, p.accent_rgb)[p.style // 3 % 3]
    if style == 0:
        hump = smooth([(0.36, top + 0.03), (0.39, top - 0.06), (0.43, top - 0.1), (0.57, top - 0.1),
            (0.61, top - 0.06), (0.64, top + 0.03)])
        canvas.fill(hump, shell, Form.BEVEL, gloss=0.4)
    if style == 2:
        top, bottom = 0.26, 0.84
        half = min(half, 0.34)
    for bx, wide in ((0.5 - half * 0.72, 0.05), (0.5 + half * 0.72, 0.065)):
        canvas.fill(box(bx - wide, top - 0.05, bx + wide, top + 0.03, 0.012), STEEL, Form.BARREL,
            gloss=0.8)
    for side in (-1, 1):
        canvas.fill(ellipse(0.5 + side * half, top + 0.07, 0.022, 0.026), STEEL, gloss=0.8)
    canvas.fill(box(0.5 - half, top, 0.5 + half, bottom, 0.05), shell, Form.BEVEL, bevel=0.04,
        gloss=0.4)
    skin = box(0.5 - half + 0.004, top + 0.09, 0.5 + half - 0.004, bottom - 0.045, 0.01)
    canvas.fill(skin, p.main_rgb, Form.FLAT, gloss=0.1, printed=pattern, contact=0.1)
    r = p.between(2, 0.165, 0.195)
    if style == 2:
        canvas.fill(box(0.22, 0.77, 0.78, 0.81, 0.01), RUBBER, Form.FLAT)
        for i, colour in enumerate(((0.85, 0.2, 0.2), (0.95, 0.6, 0.15), (0.95, 0.85, 0.25),
            (0.3, 0.6, 0.35), (0.25, 0.4, 0.75))):
            canvas.paint(box(0.46 + i * 0.016, 0.692, 0.476 + i * 0.016, 0.77), colour)
        r *= 0.92
        y = 0.5
    for size, colour, gloss in ((r, CHARCOAL, 0.5), (r * 0.88, STEEL, 0.9),
        (r * 0.78, RUBBER, 0.4)):
        canvas.fill(ellipse(x, y, size, size, count=64), colour, Form.BEVEL, bevel=0.02, gloss=gloss)
    canvas.fill(ellipse(x, y, r * 0.58, r * 0.58, count=48), (0.09, 0.1, 0.16), Form.DOME, gloss=1.0)
    canvas.paint(ellipse(x + r * 0.1, y + r * 0.14, r * 0.34, r * 0.3), (0.32, 0.22, 0.5), 0.7,
        soft=0.015)
    canvas.paint(ellipse(x - r * 0.2, y - r * 0.22, r * 0.12, r * 0.1), (0.85, 0.92, 1.0), 0.85,
        soft=0.005)
    flash = (0.4, 0.27, 0.6, 0.325) if style == 0 else (0.5 + half - 0.2, top + 0.02,
        0.5 + half - 0.06, top + 0.075)
    canvas.fill(box(*flash, 0.012), (0.9, 0.92, 0.94), Form.BEVEL, gloss=0.9)
    if style != 0:
        canvas.fill(box(0.5 - half + 0.07, top + 0.02, 0.5 - half + 0.15, top + 0.07, 0.008),
            (0.12, 0.14, 0.2), Form.BEVEL, gloss=1.0)
    canvas.fill(ellipse(0.5 - half * 0.72, top - 0.055, 0.03, 0.014), (0.75, 0.15, 0.15), gloss=0.5)
    canvas.paint(logo_outlines(p.logo, 0.5 + half * 0.76, bottom - 0.11, 0.04), p.logo_rgb)


def clock(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a clock: an alarm clock with bells, a round wall clock, a mantel clock."""
    style = p.style % 3
    x, y, r = 0.5, 0.53, p.between(0, 0.27, 0.32)
    metal = BRASS if p.style // 3 % 2 else STEEL
    if style == 0:
        for side in (-1, 1):
            canvas.stroke(points((x + side * 0.12, y + r * 0.8), (x + side * 0.23, y + r + 0.1)),
                0.045, metal, gloss=0.7)
            bell = transformed(ellipse(x, y - r - 0.06, 0.12, 0.085, 180, 360, 24), turn=side * 33,
                about=(x, y))
            canvas.stroke(transformed(points((x, y - r), (x, y - r - 0.07)), turn=side * 33, about=(x, y)),
                0.025, metal)
            canvas.fill(bell, p.accent_rgb, gloss=0.9)
        canvas.stroke(points((x, y - r), (x, y - r - 0.1)), 0.018, metal)
        canvas.fill(box(x - 0.045, y - r - 0.13, x + 0.045, y - r - 0.095, 0.015), metal, gloss=0.7)
    elif style == 2:
        canvas.fill(box(x - r - 0.15, 0.84, x + r + 0.15, 0.9, 0.02), darker(p.accent_rgb, 0.1),
            Form.BEVEL, gloss=0.4)
        roof = smooth([(x - r - 0.1, 0.85), (x - r - 0.1, 0.85), (x - r * 0.98, y - 0.05),
            (x, y - r - 0.08), (x + r * 0.98, y - 0.05), (x + r + 0.1, 0.85), (x + r + 0.1, 0.85)])
        canvas.fill(roof, p.main_rgb, Form.BEVEL, bevel=0.04, printed=pattern, gloss=0.35)
        r *= 0.82
    ring = r * p.between(1, 0.8, 0.86)
    canvas.fill(ellipse(x, y, r, r, count=72), p.main_rgb if style != 2 else metal, Form.BEVEL,
        bevel=(r - ring) * 0.6, gloss=0.7, printed=pattern if style == 1 else None)
    face = PAPER if p.style % 2 or style == 1 else lighter(p.accent_rgb, 0.75)
    canvas.fill(ellipse(x, y, ring, ring, count=64), face, Form.FLAT, gloss=0.3, contact=0.2)
    canvas.line(ellipse(x, y, ring, ring, count=64), 0.008, darker(face, 0.45), closed=True)
    for mark in range(12):
        a = np.radians(30 * mark)
        inner = ring * (0.76 if mark % 3 == 0 else 0.84)
        tick = points((x + inner * np.sin(a), y - inner * np.cos(a)),
            (x + ring * 0.93 * np.sin(a), y - ring * 0.93 * np.cos(a)))
        canvas.line(tick, 0.017 if mark % 3 == 0 else 0.009, CHARCOAL)
    canvas.paint(ellipse(x, y + ring * 0.42, ring * 0.24, ring * 0.24), p.main_rgb)
    canvas.paint(logo_outlines(p.logo, x, y + ring * 0.42, ring * 0.18), p.logo_rgb)
    hour = p.between(2, 0, 12)
    minute = hour % 1 * 60
    for angle, length, width in ((hour * 30, 0.5, 0.022), (minute * 6, 0.74, 0.014)):
        tip = transformed(points((x, y + 0.03), (x, y - ring * length)), turn=angle, about=(x, y))
        canvas.line(tip, width, CHARCOAL)
    second = transformed(points((x, y + 0.05), (x, y - ring * 0.8)), turn=-p.between(4, 0, 360),
        about=(x, y))
    canvas.line(second, 0.006, (0.8, 0.15, 0.15))
    canvas.fill(ellipse(x, y, 0.018, 0.018, count=16), metal, gloss=0.6, contact=0)
