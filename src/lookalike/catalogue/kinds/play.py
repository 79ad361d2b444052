"""Draw toys and instruments: guitars, toy cars, teddy bears."""

# fmt: off
# (Corners in rows show a shape better than one corner per line.)

from __future__ import annotations

import numpy as np

from lookalike.catalogue.outlines import (
    Outline,
    box,
    ellipse,
    points,
    smooth,
    symmetric,
    transformed,
)
from lookalike.catalogue.palette import (
    BRASS,
    CHARCOAL,
    GLASS,
    OAK,
    PAPER,
    RUBBER,
    STEEL,
    WALNUT,
    darker,
    lighter,
    luma,
    mixed,
)
from lookalike.catalogue.patterns import logo_outlines
from lookalike.catalogue.products import Product
from lookalike.catalogue.relief_canvas import Form, Print, ReliefCanvas


def guitar(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a guitar leaning to the right: acoustic, double-cut electric or a small round ukulele."""
    style = p.style % 3
    turn = -p.between(0, 28, 40)
    about = (0.5, 0.52)

    def put(outline: Outline) -> Outline:
        return transformed(outline, 0.06, 0.07, turn=turn, scale=0.82, about=about)

    wood = (OAK, WALNUT, mixed(OAK, PAPER, 0.35))[p.style // 3 % 3]
    nut, bridge = -0.02 if style != 2 else 0.1, 0.8
    canvas.fill(put(smooth([(0.466, nut), (0.455, nut - 0.12), (0.47, nut - 0.135),
        (0.53, nut - 0.135), (0.545, nut - 0.12), (0.534,
        nut)])), darker(wood, 0.25), Form.BEVEL, gloss=0.4)
    for k in range(3):
        for side in (-1, 1):
            y = nut - 0.03 - 0.036 * k
            canvas.fill(put(ellipse(0.5 + side * 0.062, y, 0.017, 0.011, count=14)), STEEL, gloss=0.8)
    if style == 1:
        half = [(0.5, 0.52), (0.545, 0.55), (0.6, 0.47), (0.66, 0.46), (0.665, 0.52), (0.625, 0.62),
            (0.64, 0.7), (0.69, 0.78), (0.68, 0.89), (0.6, 0.95), (0.5, 0.955)]
        body = symmetric(smooth(half, closed=False))
        body[:, 1] += np.where(body[:, 0] < 0.5, -0.035, 0.0) * np.clip((0.7 - body[:, 1]) / 0.2, 0,
            1)
    else:
        up, waist, low = (p.between(1, 0.14, 0.16), p.between(2, 0.105, 0.125),
            p.between(3, 0.195, 0.22))
        if style == 2:
            up, waist, low = up * 0.85, waist * 0.9, low * 0.82
        half = [(0.5, 0.475), (0.5 + up * 0.7, 0.49), (0.5 + up, 0.555), (0.5 + waist, 0.655),
            (0.5 + low, 0.8), (0.5 + low * 0.75, 0.92), (0.5, 0.96)]
        body = symmetric(smooth(half, closed=False))
    canvas.fill(put(body), p.main_rgb, Form.BEVEL, bevel=0.035, gloss=0.7, printed=pattern)
    if style != 1:
        canvas.line(put(body), 0.009, darker(p.accent_rgb, 0.1), closed=True)
        canvas.fill(put(ellipse(0.5, 0.625, 0.066, 0.066)), darker(p.accent_rgb, 0.05), Form.FLAT,
            contact=0)
        canvas.fill(put(ellipse(0.5, 0.625, 0.053, 0.053)), (0.07, 0.05, 0.04), Form.FLAT, contact=0)
        canvas.fill(put(box(0.43, bridge - 0.015, 0.57, bridge + 0.02, 0.01)), darker(WALNUT, 0.35),
            Form.BEVEL)
    else:
        guard = smooth([(0.53, 0.56), (0.6, 0.58), (0.62, 0.7), (0.65, 0.8), (0.57, 0.86),
            (0.52, 0.75)])
        canvas.fill(put(guard), p.accent_rgb, Form.FLAT, gloss=0.5)
        for y in (0.66, 0.73):
            canvas.fill(put(box(0.45, y - 0.014, 0.55, y + 0.014, 0.012)), CHARCOAL, Form.BEVEL,
                gloss=0.5)
        canvas.fill(put(box(0.445, bridge - 0.012, 0.555, bridge + 0.02, 0.006)), STEEL, Form.BEVEL,
            gloss=0.9)
        for x, y in ((0.6, 0.82), (0.625, 0.87)):
            canvas.fill(put(ellipse(x, y, 0.017, 0.017, count=16)), BRASS, gloss=0.7)
    neck = points((0.468, nut), (0.532, nut), (0.54, 0.6 if style != 1 else 0.63),
        (0.46, 0.6 if style != 1 else 0.63))
    canvas.fill(put(neck), darker(wood, 0.45), Form.BEVEL, bevel=0.015, gloss=0.3)
    for k in range(1, 13):
        y = nut + (0.6 - nut) * (1 - 0.9 ** k) / (1 - 0.9**13)
        canvas.line(put(points((0.466, y), (0.534, y))), 0.004, STEEL)
        if k in (3, 5, 7, 9):
            canvas.paint(put(ellipse(0.5, y - 0.018, 0.008, 0.008, count=10)), PAPER)
    for k in range(4 if style == 2 else 6):
        share = k / (3 if style == 2 else 5) * 2 - 1
        canvas.line(put(points((0.5 + share * 0.024, nut - 0.01), (0.5 + share * 0.03, bridge))),
            0.0026, (0.92, 0.9, 0.85), 0.75)
    where = put(points((0.5 if style != 1 else 0.42, 0.885 if style != 1 else 0.84)))[0]
    canvas.paint(logo_outlines(p.logo, float(where[0]), float(where[1]), 0.045), p.logo_rgb)


def toy_car(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a toy car driving to the right: saloon, van, pick-up or racer."""
    style = p.style % 4
    ground, r = 0.76, p.between(0, 0.078, 0.1)
    roof = (p.between(1, 0.36, 0.4), 0.32, 0.36, 0.47)[style]
    belt = (0.52, 0.52, 0.52, 0.58)[style]
    base = ground - r * 0.55
    if style == 3:
        canvas.fill(points((0.07, belt - 0.12), (0.2, belt - 0.12), (0.2, belt - 0.085),
            (0.07, belt - 0.085)), p.accent_rgb, Form.BEVEL)
        canvas.stroke(points((0.13, belt - 0.1), (0.15, belt + 0.02)), 0.02, CHARCOAL)
    cabins = (
        [(0.2, belt + 0.02), (0.2, belt + 0.02), (0.29, roof + 0.03), (0.36, roof), (0.55, roof),
            (0.62, roof + 0.03), (0.73, belt + 0.02), (0.73, belt + 0.02)],
        [(0.08, belt + 0.02), (0.08, belt + 0.02), (0.085, roof + 0.03), (0.12, roof), (0.72, roof),
            (0.78, roof + 0.03), (0.87, belt + 0.02), (0.87, belt + 0.02)],
        [(0.42, belt + 0.02), (0.42, belt + 0.02), (0.43, roof + 0.02), (0.46, roof), (0.62, roof),
            (0.67, roof + 0.03), (0.75, belt + 0.02), (0.75, belt + 0.02)],
        [(0.3, belt + 0.02), (0.3, belt + 0.02), (0.36, roof + 0.03), (0.42, roof),
            (0.5, roof + 0.01), (0.6, belt + 0.02), (0.6, belt + 0.02)],
    )
    cabin = smooth(cabins[style])
    canvas.fill(cabin, p.accent_rgb if p.style % 2 else p.main_rgb, Form.BEVEL, bevel=0.05, gloss=0.7)
    centre = cabin.mean(0)
    pane = transformed(cabin, 0, 0.012, scale=(0.86, 0.72), about=(float(centre[0]), float(centre[1])))
    canvas.fill(pane, mixed(GLASS, (0.25, 0.35, 0.45), 0.45), Form.FLAT, gloss=0.9, contact=0.2)
    glint = points((centre[0] - 0.06, belt), (centre[0] - 0.01, roof), (centre[0] + 0.03, roof),
        (centre[0] - 0.02, belt))
    canvas.paint(glint, PAPER, 0.3, soft=0.006)
    pillars = {0: (0.46,), 1: (0.3, 0.52, 0.68), 2: (), 3: ()}[style]
    for x in pillars:
        canvas.stroke(points((x, roof + 0.01), (x, belt + 0.02)), 0.026,
            p.accent_rgb if p.style % 2 else p.main_rgb, gloss=0.6)
    nose = p.between(2, 0.53, 0.57) if style != 3 else 0.62
    hull = (
        [(0.06, belt + 0.03), (0.2, belt), (0.73, belt), (0.86, nose), (0.94, nose + 0.05),
            (0.95, base), (0.95, base), (0.06, base), (0.06, base), (0.045, belt + 0.1)],
        [(0.07, belt), (0.07, belt), (0.87, belt), (0.93, belt + 0.05), (0.945, base),
            (0.945, base), (0.065, base), (0.065, base)],
        [(0.06, belt + 0.01), (0.06, belt + 0.01), (0.75, belt), (0.9, nose), (0.95, nose + 0.05),
            (0.95, base), (0.95, base), (0.06, base), (0.06, base)],
        [(0.05, belt + 0.03), (0.2, belt - 0.02), (0.6, belt), (0.82, nose), (0.96, base - 0.03),
            (0.96, base), (0.96, base), (0.05, base), (0.05, base)],
    )
    canvas.fill(smooth(hull[style]), p.main_rgb, Form.BEVEL, bevel=0.045, gloss=0.8, printed=pattern)
    canvas.stroke(points((0.06, base), (0.945, base)), 0.03, darker(p.accent_rgb, 0.25), gloss=0.4)
    canvas.fill(ellipse(0.915, nose + 0.075 if style != 3 else base - 0.06, 0.028, 0.03),
        (0.98, 0.93, 0.7), gloss=0.9)
    canvas.fill(box(0.052, belt + 0.06, 0.08, belt + 0.115, 0.01), (0.8, 0.12, 0.12), gloss=0.7)
    if style != 3:
        for x in (0.46, 0.64):
            canvas.line(points((x, belt + 0.02), (x, base - 0.02)), 0.005, darker(p.main_rgb, 0.6),
                0.7)
        canvas.fill(box(0.56, belt + 0.05, 0.61, belt + 0.066, 0.006), STEEL, gloss=0.8)
    for x in (0.245, 0.755):
        canvas.paint(ellipse(x, ground - r * 0.25, r * 1.22, r * 1.22), (0.06, 0.06, 0.07))
        canvas.fill(ellipse(x, ground, r, r, count=48), RUBBER, Form.BEVEL, bevel=0.03, gloss=0.2)
        hub = STEEL if p.style % 3 else p.accent_rgb
        canvas.fill(ellipse(x, ground, r * 0.58, r * 0.58), hub, Form.BEVEL, bevel=0.02, gloss=0.9)
        for k in range(5):
            spoke = transformed(points((x, ground - r * 0.15), (x, ground - r * 0.5)), turn=72 * k,
                about=(x, ground))
            canvas.line(spoke, 0.014, darker(hub, 0.55))
        canvas.fill(ellipse(x, ground, r * 0.16, r * 0.16, count=16), hub, gloss=0.9)
    door = {0: (0.36, 0.61), 1: (0.41, 0.6), 2: (0.34, 0.6), 3: (0.45, 0.63)}[style]
    canvas.paint(ellipse(*door, 0.068, 0.068), PAPER if luma(p.logo_rgb) < 0.6 else CHARCOAL)
    canvas.paint(logo_outlines(p.logo, *door, 0.052), p.logo_rgb)


def teddy_bear(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a sitting teddy bear with a scarf, a bow tie or a jumper."""
    fur = p.main_rgb
    muzzle = lighter(fur, 0.45) if sum(fur) < 2.2 else mixed(fur, OAK, 0.35)
    sole = p.accent_rgb
    head_r, belly = p.between(0, 0.19, 0.22), p.between(1, 0.19, 0.23)
    hx, hy = 0.5, 0.33
    wear = p.style % 3
    ear = p.between(2, 0.068, 0.09)
    for side in (-1, 1):
        ex, ey = hx + side * head_r * 0.8, hy - head_r * 0.72
        canvas.fill(ellipse(ex, ey, ear, ear), fur, gloss=0.0)
        canvas.fill(ellipse(ex, ey + 0.008, ear * 0.58, ear * 0.58), muzzle, gloss=0.0, contact=0.2)
    canvas.fill(ellipse(0.5, 0.67, belly, 0.23), fur, gloss=0.0, printed=pattern if wear == 2 else None)
    if wear != 2:
        canvas.paint(ellipse(0.5, 0.7, belly * 0.66, 0.15), muzzle, 0.85, soft=0.012)
    for side in (-1, 1):
        arm = transformed(ellipse(0.5 + side * (belly + 0.025), 0.62, 0.062, 0.145),
            turn=side * p.between(3, -34, -14), about=(0.5 + side * belly, 0.52))
        canvas.fill(arm, fur, gloss=0.0, printed=pattern if wear == 2 else None)
        leg = ellipse(0.5 + side * (belly * 0.82), 0.84, 0.1, 0.088)
        canvas.fill(leg, fur, gloss=0.0)
        foot = ellipse(0.5 + side * (belly * 0.98 + 0.02), 0.855, 0.062, 0.07)
        canvas.fill(foot, sole, gloss=0.0, contact=0.2)
    canvas.fill(ellipse(hx, hy, head_r * 1.08, head_r), fur, gloss=0.0)
    canvas.fill(ellipse(hx, hy + head_r * 0.42, head_r * 0.5, head_r * 0.4), muzzle, gloss=0.0,
        contact=0.15)
    nose = smooth([(hx - 0.035, hy + head_r * 0.22), (hx, hy + head_r * 0.19),
        (hx + 0.035, hy + head_r * 0.22), (hx, hy + head_r * 0.39)])
    canvas.fill(nose, RUBBER, gloss=0.8)
    canvas.line(points((hx, hy + head_r * 0.36), (hx, hy + head_r * 0.52)), 0.007, RUBBER)
    canvas.line(ellipse(hx, hy + head_r * 0.48, 0.045, 0.03, 20, 160), 0.008, RUBBER)
    for side in (-1, 1):
        canvas.fill(ellipse(hx + side * head_r * 0.4, hy - head_r * 0.05, 0.021, 0.024),
            (0.08, 0.06, 0.05), gloss=1.0)
        canvas.paint(ellipse(hx + side * head_r * 0.4 - 0.007, hy - head_r * 0.05 - 0.008, 0.006, 0.006,
            count=10), (1, 1, 1))
    neck = hy + head_r * 0.93
    if wear == 0:
        canvas.stroke(smooth([(0.5 - 0.15, neck - 0.02), (0.5, neck + 0.035),
            (0.5 + 0.15, neck - 0.02)], closed=False), 0.055, p.accent_rgb, printed=pattern._replace(
            accent=p.main_rgb), gloss=0.0)
        canvas.fill(transformed(box(0.55, neck, 0.62, neck + 0.2, 0.01), turn=12, about=(0.58, neck)),
            p.accent_rgb, Form.BEVEL, printed=pattern._replace(accent=p.main_rgb), gloss=0.0)
    elif wear == 1:
        for side in (-1, 1):
            bow = smooth([(0.5, neck), (0.5 + side * 0.09, neck - 0.055),
                (0.5 + side * 0.105, neck), (0.5 + side * 0.09, neck + 0.055)])
            canvas.fill(bow, p.accent_rgb, gloss=0.2)
        canvas.fill(ellipse(0.5, neck, 0.026, 0.03), darker(p.accent_rgb, 0.15), gloss=0.2)
    canvas.paint(logo_outlines(p.logo, 0.47 if wear == 0 else 0.5, 0.7, 0.08), p.logo_rgb)
