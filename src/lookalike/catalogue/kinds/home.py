"""Draw furniture: chairs, sofas, lamps."""

# fmt: off
# (Corners in rows show a shape better than one corner per line.)

from __future__ import annotations

import numpy as np

from lookalike.catalogue.outlines import (
    Outline,
    box,
    ellipse,
    lathe,
    points,
    smooth,
    transformed,
    trapezoid,
)
from lookalike.catalogue.palette import BRASS, CHARCOAL, OAK, STEEL, WALNUT, darker, lighter, mixed
from lookalike.catalogue.patterns import logo_outlines
from lookalike.catalogue.products import Product
from lookalike.catalogue.relief_canvas import Form, Print, ReliefCanvas, Rgb


def chair(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a chair from the front and a little above: slats, rungs, a padded or a round back, or an
    office chair on castors."""
    style = p.style % 5
    if style == 4:
        _office_chair(canvas, p, pattern)
        return
    wood = (OAK, WALNUT, p.main_rgb, CHARCOAL)[p.style // 5 % 4] if style != 0 else p.main_rgb
    back, seat, front = p.between(0, 0.07, 0.17), 0.55, 0.655
    w, fw = p.between(1, 0.18, 0.22), p.between(2, 0.245, 0.28)
    leg = p.between(3, 0.026, 0.038)
    splay = p.between(4, 0.0, 0.03)
    for side in (-1, 1):  # hind legs
        canvas.stroke(points((0.5 + side * w * 0.92, seat), (0.5 + side * (w + splay) * 0.95, 0.86)),
            leg * 0.85, darker(wood, 0.35))
    canvas.stroke(points((0.5 - w, 0.78), (0.5 + w, 0.78)), leg * 0.6, darker(wood, 0.4))
    if style == 3:  # a round padded back
        canvas.fill(ellipse(0.5, (back + seat) / 2 - 0.02, w * 1.1, (seat - back) / 2), wood,
            gloss=0.3)
        canvas.fill(ellipse(0.5, (back + seat) / 2 - 0.02, w * 0.92, (seat - back) / 2 - 0.035),
            p.main_rgb, printed=pattern, gloss=0.1)
    else:
        for side in (-1, 1):
            canvas.stroke(points((0.5 + side * (w + 0.012), back), (0.5 + side * w, seat + 0.02)),
                leg, wood)
        if style == 0:
            for x in np.linspace(-1, 1, 4 + p.style % 4)[1:-1]:
                canvas.stroke(points((0.5 + x * w, back + 0.05), (0.5 + x * w, seat - 0.03)),
                    leg * 0.65, wood)
            canvas.fill(box(0.5 - w - 0.02, back, 0.5 + w + 0.02, back + 0.085, 0.03), p.accent_rgb,
                Form.BEVEL, gloss=0.3)
        elif style == 1:
            for y in np.linspace(back + 0.02, seat - 0.14, 3 + p.style % 2):
                rung = smooth([(0.5 - w, y), (0.5, y - 0.025), (0.5 + w, y), (0.5 + w, y + 0.05),
                    (0.5, y + 0.03), (0.5 - w, y + 0.05)])
                canvas.fill(rung, p.main_rgb, printed=pattern)
        else:
            canvas.fill(box(0.5 - w - 0.01, back - 0.01, 0.5 + w + 0.01, seat - 0.08, 0.05),
                p.main_rgb, Form.BEVEL, bevel=0.045, printed=pattern, gloss=0.12)
    for side in (-1, 1):  # front legs
        canvas.stroke(points((0.5 + side * (fw - 0.02), front), (0.5 + side * (fw + splay), 0.94)),
            leg, wood)
    canvas.fill(box(0.5 - fw, front - 0.01, 0.5 + fw, front + 0.04, 0.012), darker(wood, 0.12),
        Form.BEVEL)
    pad = p.main_rgb if style in (2, 3) else p.accent_rgb
    top = smooth([(0.5 - w - 0.01, seat), (0.5, seat - 0.012), (0.5 + w + 0.01, seat),
        (0.5 + fw + 0.005, front - 0.01),
                  (0.5 + fw, front + 0.012), (0.5, front + 0.022), (0.5 - fw,
                      front + 0.012), (0.5 - fw - 0.005, front - 0.01)])
    canvas.fill(top, lighter(pad, 0.08), Form.BEVEL, bevel=0.03, gloss=0.15,
        printed=pattern if style in (2, 3) else None)
    y = (back + 0.045, seat + 0.05, (back + seat) / 2 - 0.05, (back + seat) / 2 - 0.03)[style]
    canvas.paint(logo_outlines(p.logo, 0.5, y, (0.03, 0.035, 0.07, 0.07)[style]), p.logo_rgb)


def _office_chair(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    w = p.between(1, 0.19, 0.23)
    for x, y in ((-0.24, 0.9), (0.24, 0.9), (-0.13, 0.945), (0.13, 0.945), (0.0, 0.925)):
        canvas.stroke(points((0.5, 0.82), (0.5 + x, y - 0.03)), 0.03,
            STEEL if p.style % 2 else CHARCOAL, gloss=0.6)
        canvas.fill(ellipse(0.5 + x, y, 0.026, 0.026), CHARCOAL, gloss=0.4)
    canvas.stroke(points((0.5, 0.64), (0.5, 0.83)), 0.04, STEEL, gloss=0.8)
    canvas.stroke(points((0.5, 0.42), (0.5, 0.6)), 0.05, CHARCOAL)
    back = _office_back(w, p.between(0, 0.08, 0.13))
    canvas.fill(back, p.main_rgb, Form.BEVEL, bevel=0.05, printed=pattern, gloss=0.12)
    for side in (-1, 1):
        canvas.stroke(smooth([(0.5 + side * 0.22, 0.6), (0.5 + side * 0.3, 0.57),
            (0.5 + side * 0.29, 0.46)], closed=False), 0.026, CHARCOAL)
        canvas.fill(box(0.5 + side * 0.285 - 0.035, 0.435, 0.5 + side * 0.285 + 0.035, 0.47, 0.016),
            CHARCOAL)
    canvas.fill(box(0.25, 0.56, 0.75, 0.66, 0.045), p.accent_rgb, Form.BEVEL, bevel=0.045, gloss=0.12)
    canvas.paint(logo_outlines(p.logo, 0.5, 0.27, 0.06), p.logo_rgb)


def _office_back(w: float, top: float) -> Outline:
    """Return the back rest of an office chair, `(k, 2)` canvas units."""
    return smooth([(0.5 - w * 0.7, top), (0.5 + w * 0.7, top), (0.5 + w, top + 0.12),
        (0.5 + w * 0.9, 0.42),
                   (0.5 + w * 0.6, 0.49), (0.5 - w * 0.6, 0.49), (0.5 - w * 0.9, 0.42), (0.5 - w,
                       top + 0.12)])


def sofa(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a sofa or armchair for one to three, with round, square or low arms."""
    seats = 1 + p.style % 3
    half = (0.27, 0.37, 0.45)[seats - 1]
    arm = p.between(0, 0.065, 0.1)
    back = p.between(1, 0.26, 0.34) - (0.06 if seats == 1 else 0)
    seat, base = 0.55, 0.71
    wood = (OAK, WALNUT, CHARCOAL, STEEL)[p.style // 3 % 4]
    for x in (0.5 - half + 0.05, 0.5 + half - 0.05):
        canvas.fill(trapezoid(base, 0.022, 0.81, 0.013, x), wood, Form.BARREL, gloss=0.4)
    round_back = p.style % 2 == 0
    inner = half - arm * 0.6
    canvas.fill(box(0.5 - inner, back, 0.5 + inner, base, 0.1 if round_back else 0.03),
        darker(p.main_rgb, 0.1), Form.BEVEL, bevel=0.05, gloss=0.08)
    width = 2 * (half - arm) / seats
    for i in range(seats):
        x0 = 0.5 - half + arm + i * width
        canvas.fill(box(x0 + 0.004, back + 0.035, x0 + width - 0.004, seat + 0.03, 0.05), p.main_rgb,
            Form.BEVEL, bevel=0.05, printed=pattern, gloss=0.08)
    for i in range(seats):
        x0 = 0.5 - half + arm + i * width
        canvas.fill(box(x0 + 0.002, seat - 0.01, x0 + width - 0.002, seat + 0.09, 0.035),
            lighter(p.main_rgb, 0.1), Form.BEVEL, bevel=0.035, printed=pattern, gloss=0.08)
    canvas.fill(box(0.5 - half + 0.02, seat + 0.085, 0.5 + half - 0.02, base + 0.015, 0.02),
        p.main_rgb, Form.BEVEL, bevel=0.025, gloss=0.08)
    high = seat - p.between(2, 0.05, 0.13)
    for side in (-1, 1):
        x0, x1 = sorted((0.5 + side * half, 0.5 + side * (half - arm)))
        canvas.fill(box(x0, high, x1, base + 0.02, 0.02 if p.style % 4 == 1 else arm / 2), p.main_rgb,
            Form.BEVEL, bevel=0.045, gloss=0.08)
        if p.style % 4 == 2:
            canvas.fill(ellipse((x0 + x1) / 2, high + 0.03, arm * 0.62, arm * 0.62), p.main_rgb,
                gloss=0.08)
    if seats > 1 or p.style % 2:  # a loose cushion carries the logo
        x = 0.5 - half + arm + 0.09 if seats > 1 else 0.5
        pillow = smooth([(x - 0.08, seat - 0.13), (x, seat - 0.115), (x + 0.08, seat - 0.13),
            (x + 0.07, seat - 0.05),
                         (x + 0.085, seat + 0.03), (x, seat + 0.02), (x - 0.085,
                             seat + 0.03), (x - 0.07, seat - 0.05)])
        canvas.fill(transformed(pillow, turn=-8, about=(x, seat)), p.accent_rgb, gloss=0.08)
        canvas.paint(logo_outlines(p.logo, x - 0.005, seat - 0.05, 0.042), p.logo_rgb)
    else:
        canvas.paint(logo_outlines(p.logo, 0.5, (back + seat) / 2, 0.06), p.logo_rgb)


def lamp(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a lamp: table lamp with a turned foot, floor lamp on three legs, desk lamp on an arm."""
    style = p.style % 4
    metal = (BRASS, STEEL, CHARCOAL, OAK)[p.style // 4 % 4]
    if style == 3:
        _desk_lamp(canvas, p, pattern, metal)
        return
    if style == 2:  # floor lamp
        top, low, half0, half1 = 0.07, 0.29, p.between(0, 0.09, 0.13), p.between(1, 0.15, 0.18)
        if p.style % 8 < 4:
            for x in (-0.16, 0.16, 0.03):
                canvas.stroke(points((0.5, 0.42), (0.5 + x, 0.94)), 0.022, metal)
            canvas.stroke(points((0.5, 0.28), (0.5, 0.44)), 0.024, metal, gloss=0.7)
        else:
            canvas.fill(ellipse(0.5, 0.92, 0.12, 0.028), metal, Form.BEVEL, gloss=0.6)
            canvas.stroke(points((0.5, 0.28), (0.5, 0.915)), 0.02, metal, gloss=0.7)
    else:
        top, low = 0.1, 0.44
        half0, half1 = p.between(0, 0.1, 0.2), p.between(1, 0.23, 0.29)
        body = p.accent_rgb
        if style == 0:  # turned
            r = p.between(2, 0.09, 0.15)
            foot = lathe([(0.46, 0.02), (0.52, 0.03), (0.6, r * 0.8), (0.7, r), (0.82, r * 0.55),
                (0.86, r * 0.5), (0.88, r * 0.9), (0.91, r)], sag=0.02)
            canvas.fill(foot, body, Form.BARREL, gloss=0.7)
        else:  # stem and plate
            canvas.fill(ellipse(0.5, 0.9, p.between(2, 0.13, 0.17), 0.035), metal, Form.BEVEL,
                gloss=0.6)
            canvas.stroke(points((0.5, 0.42), (0.5, 0.89)), 0.03, metal, gloss=0.8)
            canvas.fill(ellipse(0.5, 0.62, 0.05, 0.05), body, gloss=0.7)
        canvas.stroke(points((0.5, 0.42), (0.5, 0.47)), 0.025, metal)
    shade = np.concatenate([trapezoid(top, half0, low, half1)[:2],
        ellipse(0.5, low, half1, half1 * 0.13, 0, 180, 24)])
    shade = np.concatenate([shade, points((0.5 - half0, top))])
    canvas.fill(shade, p.main_rgb, Form.BARREL, gloss=0.1, printed=pattern)
    # Lit from inside: the shade glows where the bulb is.
    glow = mixed(lighter(p.main_rgb, 0.5), (1.0, 0.9, 0.6), 0.5)
    canvas.paint(ellipse(0.5, (top + low) / 2 + 0.04, half1 * 0.4, (low - top) * 0.22), glow, 0.55,
        soft=0.05)
    for y, half, sag in ((top, half0, half0 * 0.1), (low, half1, half1 * 0.13)):
        canvas.line(ellipse(0.5, y, half, sag, 0, 180), 0.01, darker(p.accent_rgb, 0.1))
    canvas.fill(ellipse(0.5, top, half0, half0 * 0.12), mixed(glow, p.main_rgb, 0.3), Form.FLAT,
        contact=0)
    canvas.paint(logo_outlines(p.logo, 0.5, (top + low) / 2 + 0.03, (low - top) * 0.24), p.logo_rgb)


def _desk_lamp(canvas: ReliefCanvas, p: Product, pattern: Print, metal: Rgb) -> None:
    elbow = (p.between(0, 0.24, 0.32), p.between(1, 0.42, 0.5))
    head = (p.between(2, 0.5, 0.58), p.between(3, 0.16, 0.24))
    canvas.fill(lathe([(0.85, 0.07), (0.87, 0.13), (0.9, 0.17)], x=0.44, sag=0.03), p.accent_rgb,
        Form.BARREL, gloss=0.6)
    canvas.stroke(points((0.44, 0.86), elbow), 0.026, metal, gloss=0.8)
    canvas.stroke(points(elbow, head), 0.026, metal, gloss=0.8)
    for joint in ((0.44, 0.85), elbow):
        canvas.fill(ellipse(*joint, 0.03, 0.03), CHARCOAL, gloss=0.5)
    x, y = head
    tilt = -p.between(4, 25, 45)
    bulb = transformed(ellipse(x, y + 0.2, 0.055, 0.05), turn=tilt, about=head)
    canvas.fill(bulb, (1.0, 0.95, 0.72), gloss=0.2, contact=0)
    cone = lathe([(y - 0.05, 0.03), (y - 0.02, 0.06), (y + 0.05, 0.09),
        (y + 0.19, p.between(5, 0.15, 0.19))], x=x, sag=0.02)
    canvas.fill(transformed(cone, turn=tilt, about=head), p.main_rgb, Form.DOME, gloss=0.5, printed=pattern)
    lx, ly = transformed(points((x, y + 0.11)), turn=tilt, about=head)[0]
    canvas.paint(logo_outlines(p.logo, float(lx), float(ly), 0.055), p.logo_rgb)
