"""Draw bags and backpacks."""

# fmt: off
# (Corners in rows show a shape better than one corner per line.)

from __future__ import annotations

from lookalike.catalogue.outlines import box, ellipse, points, smooth, transformed, trapezoid
from lookalike.catalogue.palette import BRASS, CHARCOAL, LEATHER, RUBBER, STEEL, darker, lighter
from lookalike.catalogue.patterns import logo_outlines
from lookalike.catalogue.products import Product
from lookalike.catalogue.relief_canvas import Form, Print, ReliefCanvas


def bag(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a bag: open tote, flap satchel, framed handbag or weekender."""
    style = p.style % 4
    strap = LEATHER if p.style // 4 % 2 else p.accent_rgb
    metal = BRASS if p.style % 3 else STEEL
    if style == 3:
        _weekender(canvas, p, pattern, strap)
        return
    top, bottom = p.between(0, 0.4, 0.48), 0.88
    w0, w1 = ((0.32, 0.27), (0.3, 0.31), (0.2, 0.33))[style]
    w0, w1 = w0 * p.between(1, 0.9, 1.1), w1 * p.between(2, 0.92, 1.08)
    rise = p.between(3, 0.24, 0.31)
    reach = w0 * (0.5, 0.8, 0.62)[style]
    arch = smooth([(0.5 - reach, top + 0.05), (0.5 - reach, top - rise * 0.4),
        (0.5 - reach * 0.55, top - rise), (0.5 + reach * 0.55, top - rise),
                   (0.5 + reach, top - rise * 0.4), (0.5 + reach, top + 0.05)], closed=False)
    canvas.stroke(transformed(arch, 0.0, -0.022), 0.026, darker(strap, 0.4))
    if style == 0:
        canvas.fill(ellipse(0.5, top, w0, 0.03), darker(p.main_rgb, 0.6), Form.FLAT)
    body = smooth([(0.5 - w0, top), (0.5 - w0, top), (0.5, top + 0.012), (0.5 + w0, top),
        (0.5 + w0, top), (0.5 + (w0 + w1) / 2 + 0.01, 0.66), (0.5 + w1,
        bottom - 0.05), (0.5 + w1 - 0.04, bottom),
                   (0.5, bottom + 0.012), (0.5 - w1 + 0.04, bottom), (0.5 - w1,
                       bottom - 0.05), (0.5 - (w0 + w1) / 2 - 0.01, 0.66)])
    canvas.fill(body, p.main_rgb, Form.BEVEL, bevel=0.07, printed=pattern, gloss=0.2)
    y = 0.68
    if style == 0:
        canvas.line(points((0.5 - w0 + 0.01, top + 0.035), (0.5 + w0 - 0.01, top + 0.035)), 0.005,
            darker(p.main_rgb, 0.5), 0.7)
        canvas.stroke(arch, 0.03, strap)
        for side in (-1, 1):
            canvas.fill(box(0.5 + side * reach - 0.03, top + 0.02, 0.5 + side * reach + 0.03,
                top + 0.1, 0.012), strap, Form.BEVEL)
            canvas.fill(ellipse(0.5 + side * reach, top + 0.06, 0.012, 0.012, count=14), metal,
                gloss=0.8)
    elif style == 1:
        depth = p.between(4, 0.2, 0.3)
        flap = smooth([(0.5 - w0 - 0.01, top - 0.015), (0.5 - w0 - 0.01, top - 0.015),
            (0.5 + w0 + 0.01, top - 0.015), (0.5 + w0 + 0.01, top - 0.015), (0.5 + w0,
            top + depth * 0.75), (0.5 + w0 * 0.6, top + depth),
                       (0.5 - w0 * 0.6, top + depth), (0.5 - w0, top + depth * 0.75)])
        canvas.fill(flap, lighter(p.main_rgb, 0.06), Form.BEVEL, bevel=0.04, gloss=0.3, contact=0.5)
        canvas.line(transformed(flap, scale=0.95, about=(0.5, top)), 0.004, lighter(p.accent_rgb, 0.2), 0.8,
            closed=True)
        canvas.stroke(arch, 0.028, strap)
        canvas.fill(box(0.44, top + depth - 0.05, 0.56, top + depth + 0.04, 0.015), metal, Form.BEVEL,
            gloss=0.9)
        canvas.fill(box(0.47, top + depth - 0.02, 0.53, top + depth + 0.015, 0.008),
            darker(metal, 0.4), Form.BEVEL, gloss=0.5)
        canvas.paint(logo_outlines(p.logo, 0.5, top + depth * 0.42, depth * 0.24), p.logo_rgb)
        return
    else:
        canvas.stroke(arch, 0.03, strap)
        canvas.fill(box(0.5 - w0 - 0.02, top - 0.025, 0.5 + w0 + 0.02, top + 0.025, 0.02), metal,
            gloss=0.9)
        for side in (-1, 1):
            canvas.fill(ellipse(0.5 + side * 0.018, top - 0.035, 0.02, 0.02), metal, gloss=0.9)
        canvas.paint(trapezoid(0.8, (w0 + 2 * w1) / 3 + 0.06, bottom + 0.02, w1 + 0.02), p.accent_rgb,
            0.9)
        y = 0.63
    canvas.paint(logo_outlines(p.logo, 0.5, y, 0.095), p.logo_rgb)


def _weekender(canvas: ReliefCanvas, p: Product, pattern: Print, strap: tuple[float, float, float]) -> None:
    half, top = p.between(0, 0.38, 0.43), p.between(1, 0.44, 0.49)
    arch = smooth([(0.36, top + 0.08), (0.37, 0.33), (0.44, 0.25), (0.56, 0.25), (0.63, 0.33),
        (0.64, top + 0.08)], closed=False)
    canvas.stroke(transformed(arch, 0.0, -0.02), 0.024, darker(strap, 0.4))
    canvas.fill(box(0.5 - half, top, 0.5 + half, 0.84, 0.12), p.main_rgb, Form.BEVEL, bevel=0.1,
        printed=pattern, gloss=0.2)
    for side in (-1, 1):
        end = box(0.5 + side * half - 0.085, top - 0.004, 0.5 + side * half + 0.085, 0.844, 0.085)
        canvas.paint(end, p.accent_rgb)
    canvas.line(points((0.5 - half + 0.08, top + 0.04), (0.5 + half - 0.08, top + 0.04)), 0.014,
        STEEL)
    canvas.fill(box(0.6, top + 0.03, 0.66, top + 0.055, 0.008), BRASS, gloss=0.8)
    for x in (0.36, 0.64):
        canvas.stroke(points((x, top + 0.02), (x, 0.838)), 0.036, strap)
    canvas.stroke(arch, 0.03, strap)
    canvas.paint(logo_outlines(p.logo, 0.5, 0.67, 0.085), p.logo_rgb)


def backpack(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a backpack from the front: day pack, flap rucksack or tall hiking pack with a bed roll."""
    style = p.style % 3
    half = p.between(0, 0.22, 0.27)
    top = (p.between(1, 0.16, 0.22), 0.2, 0.18)[style]
    for side in (-1, 1):
        strap = smooth([(0.5 + side * half * 0.6, top + 0.06),
            (0.5 + side * (half + 0.09), top + 0.2), (0.5 + side * (half + 0.1),
            0.66), (0.5 + side * half * 0.85, 0.84)], closed=False)
        canvas.stroke(strap, 0.045, darker(p.accent_rgb, 0.35), gloss=0.05)
    canvas.stroke(ellipse(0.5, top + 0.015, 0.065, 0.07, 180, 360, 24), 0.026,
        darker(p.accent_rgb, 0.2), gloss=0.05)
    body = smooth([(0.5 - half * 0.75, top + 0.02), (0.5, top - 0.012),
        (0.5 + half * 0.75, top + 0.02), (0.5 + half, top + 0.18), (0.5 + half * 1.03,
        0.75), (0.5 + half * 0.9, 0.9), (0.5, 0.915),
                   (0.5 - half * 0.9, 0.9), (0.5 - half * 1.03, 0.75), (0.5 - half, top + 0.18)])
    canvas.fill(body, p.main_rgb, Form.BEVEL, bevel=0.09, printed=pattern, gloss=0.1)
    if style == 0:
        zip_line = smooth([(0.5 - half * 0.93, 0.6), (0.5 - half * 0.86, top + 0.15),
            (0.5 - half * 0.5, top + 0.06), (0.5 + half * 0.5, top + 0.06), (0.5 + half * 0.86,
            top + 0.15), (0.5 + half * 0.93, 0.6)], closed=False)
        canvas.line(zip_line, 0.012, RUBBER)
        canvas.stroke(points((0.5 + half * 0.88, 0.42), (0.5 + half * 0.86, 0.48)), 0.018, STEEL,
            gloss=0.8)
    elif style == 1:
        flap = smooth([(0.5 - half * 0.8, top), (0.5, top - 0.03), (0.5 + half * 0.8, top),
            (0.5 + half, top + 0.12), (0.5 + half * 0.98, 0.46), (0.5 + half * 0.6,
            0.52), (0.5 - half * 0.6, 0.52), (0.5 - half * 0.98, 0.46), (0.5 - half, top + 0.12)])
        canvas.fill(flap, p.accent_rgb, Form.BEVEL, bevel=0.05, gloss=0.12, contact=0.5)
        for side in (-1, 1):
            x = 0.5 + side * half * 0.5
            canvas.stroke(points((x, 0.36), (x, 0.62)), 0.036, LEATHER)
            canvas.fill([box(x - 0.032, 0.52, x + 0.032, 0.58, 0.01),
                box(x - 0.016, 0.535, x + 0.016, 0.565, 0.004)], BRASS, Form.BEVEL, gloss=0.9)
    else:
        roll = box(0.5 - half - 0.07, top - 0.1, 0.5 + half + 0.07, top + 0.045, 0.07)
        canvas.fill(roll, p.accent_rgb, gloss=0.1)
        for side in (-1, 1):
            canvas.stroke(points((0.5 + side * half * 0.6, top - 0.1),
                (0.5 + side * half * 0.6, 0.52)), 0.03, CHARCOAL)
            canvas.fill(box(0.5 + side * half * 0.6 - 0.024, 0.32, 0.5 + side * half * 0.6 + 0.024,
                0.37, 0.008), STEEL, gloss=0.5)
            canvas.fill(box(0.5 + side * (half + 0.02) - 0.045, 0.62,
                0.5 + side * (half + 0.02) + 0.045, 0.86, 0.035), darker(
                p.main_rgb, 0.15), Form.BEVEL)
    y0 = p.between(2, 0.58, 0.63)
    pocket = box(0.5 - half * 0.74, y0, 0.5 + half * 0.74, 0.87, 0.055)
    canvas.fill(pocket, p.accent_rgb if style != 1 else lighter(p.main_rgb, 0.08), Form.BEVEL,
        bevel=0.045, gloss=0.1, contact=0.45)
    canvas.line(smooth([(0.5 - half * 0.66, y0 + 0.05), (0.5, y0 + 0.04),
        (0.5 + half * 0.66, y0 + 0.05)], closed=False), 0.01, RUBBER)
    where = ((0.5, 0.41), (0.5, 0.3), (0.5, 0.43))[style]
    canvas.paint(logo_outlines(p.logo, *where, 0.07), p.logo_rgb)
