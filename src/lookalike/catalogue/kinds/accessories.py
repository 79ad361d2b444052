"""Draw accessories: watches, sunglasses, umbrellas, headphones."""

# fmt: off
# (Corners in rows show a shape better than one corner per line.)

from __future__ import annotations

import itertools

import numpy as np

from lookalike.catalogue.outlines import (
    box,
    ellipse,
    mirrored,
    points,
    smooth,
    transformed,
    trapezoid,
)
from lookalike.catalogue.palette import (
    BRASS,
    CHARCOAL,
    OAK,
    PAPER,
    RUBBER,
    STEEL,
    WALNUT,
    darker,
    lighter,
)
from lookalike.catalogue.patterns import logo_outlines
from lookalike.catalogue.products import Product
from lookalike.catalogue.relief_canvas import Form, Print, ReliefCanvas


def watch(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a wrist watch on its strap: round or square case, leather, cloth or steel links."""
    square = p.style % 3 == 2
    r = p.between(0, 0.175, 0.22)
    half = r * p.between(1, 0.55, 0.72)
    steel = p.style % 4 == 1
    strap = STEEL if steel else p.main_rgb
    end = half * p.between(2, 0.72, 0.9)
    for side in (-1, 1):
        tip = 0.5 + side * 0.45
        band = trapezoid(0.5 + side * r * 0.6, half, tip, end)
        tail = ellipse(0.5, tip, end, 0.02, 0, 180, 12) if side > 0 else ellipse(0.5, tip, end,
            0.02, 180, 360, 12)
        outline = np.concatenate([band[[0, 1]], tail if side > 0 else tail[::-1],
            band[[3]]])
        canvas.fill(outline, strap, Form.BEVEL, bevel=0.03, gloss=0.75 if steel else 0.2,
            printed=None if steel else pattern)
        if steel:
            for y in np.arange(r + 0.02, 0.45, 0.042):
                w = half + (end - half) * (y - r * 0.6) / (0.45 - r * 0.6)
                canvas.line(points((0.5 - w, 0.5 + side * y), (0.5 + w, 0.5 + side * y)), 0.007,
                    darker(STEEL, 0.6))
            for x in (-0.35, 0.35):
                canvas.line(points((0.5 + x * half, 0.5 + side * r), (0.5 + x * end, tip)), 0.006,
                    darker(STEEL, 0.5))
        else:
            for x in (-1, 1):
                canvas.line(points((0.5 + x * half * 0.84, 0.5 + side * r),
                    (0.5 + x * end * 0.82, tip)), 0.005, lighter(strap, 0.4), 0.6)
            if side > 0:
                for y in np.linspace(0.3, 0.41, 4):
                    canvas.paint(ellipse(0.5, 0.5 + y, 0.011, 0.014, count=14), darker(strap, 0.75))
    if not steel:
        buckle = box(0.5 - end - 0.02, 0.035, 0.5 + end + 0.02, 0.085, 0.015)
        canvas.fill([buckle, box(0.5 - end, 0.052, 0.5 + end, 0.07, 0.006)], STEEL, Form.BEVEL,
            gloss=0.9)
    metal = (STEEL, BRASS, CHARCOAL)[p.style // 3 % 3]
    canvas.fill(box(0.5 + r * 0.95, 0.475, 0.5 + r + 0.04, 0.525, 0.01), metal, gloss=0.8)
    case = box(0.5 - r, 0.5 - r, 0.5 + r, 0.5 + r, 0.06) if square else ellipse(0.5, 0.5, r, r,
        count=72)
    canvas.fill(case, metal, Form.BEVEL, bevel=0.03, gloss=1.0)
    d = r * 0.82
    dial = box(0.5 - d, 0.5 - d, 0.5 + d, 0.5 + d, 0.04) if square else ellipse(0.5, 0.5, d, d,
        count=64)
    face = (PAPER, p.accent_rgb, CHARCOAL)[p.style // 2 % 3]
    marks = PAPER if sum(face) < 1.4 else CHARCOAL
    canvas.fill(dial, face, Form.FLAT, gloss=0.3, contact=0.3)
    for hour in range(12):
        a = np.radians(30 * hour)
        reach = d * (1.0 if not square else 1 / max(abs(np.sin(a)), abs(np.cos(a))))
        way = np.array((np.sin(a), -np.cos(a)))
        canvas.line(np.stack([0.5 + way * reach * (0.74 if hour % 3 == 0 else 0.82),
            0.5 + way * reach * 0.91]), 0.015 if hour % 3 == 0 else 0.008, marks)
    if p.style % 2:
        canvas.line(ellipse(0.5, 0.5 + d * 0.5, d * 0.22, d * 0.22, count=24), 0.005, marks, 0.7,
            closed=True)
    canvas.paint(ellipse(0.5, 0.5 - d * 0.45, d * 0.25, d * 0.25), p.main_rgb)
    canvas.paint(logo_outlines(p.logo, 0.5, 0.5 - d * 0.45, d * 0.2), p.logo_rgb)
    for angle, length, width in ((p.between(3, 0, 360), 0.5, 0.02),
        (p.between(4, 0, 360), 0.75, 0.013)):
        canvas.line(transformed(points((0.5, 0.515), (0.5, 0.5 - d * length)), turn=angle), width, marks)
    canvas.line(transformed(points((0.5, 0.54), (0.5, 0.5 - d * 0.8)), turn=p.between(5, 0, 360)), 0.005,
        (0.85, 0.2, 0.15))
    canvas.fill(ellipse(0.5, 0.5, 0.014, 0.014, count=14), metal, contact=0)


def sunglasses(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw sunglasses from the front: round, square, aviator or cat-eye, the arms open behind."""
    style = p.style % 4
    w, h = p.between(0, 0.16, 0.19), p.between(1, 0.12, 0.15)
    gap = p.between(2, 0.03, 0.05)
    x, y = 0.5 + gap + w, 0.5
    shapes = (
        ellipse(x, y, min(w, h * 1.15), min(w, h * 1.15), count=60),
        box(x - w, y - h * 0.85, x + w, y + h * 0.85, 0.05),
        smooth([(x - w * 0.95, y - h * 0.75), (x, y - h * 0.95), (x + w, y - h * 0.8),
            (x + w * 0.95, y), (x + w * 0.5, y + h * 1.0), (x - w * 0.2,
            y + h * 0.95), (x - w * 0.8, y + h * 0.2)]),
        smooth([(x - w * 0.95, y - h * 0.5), (x, y - h * 0.8), (x + w * 1.15, y - h * 1.15),
            (x + w * 1.15, y - h * 1.15), (x + w * 0.95, y), (x + w * 0.3,
            y + h * 0.85), (x - w * 0.6, y + h * 0.7)]),
    )
    lens = shapes[style]
    tint = (CHARCOAL, darker(p.accent_rgb, 0.35), (0.35, 0.22, 0.14),
        darker(p.accent_rgb, 0.1))[p.style // 4 % 4]
    frame = p.main_rgb
    thick = p.between(3, 0.026, 0.045) if style != 2 else 0.02
    edge = float(lens[:, 0].max())
    for side in (1, -1):  # the arms lie open behind: seen from a little above they come closer
        hinge = 0.5 + side * (edge - 0.5)
        arm = smooth([(hinge, y - h * 0.45), (hinge - side * 0.03, y - h * 0.9),
            (hinge - side * 0.085, y - h * 1.6), (hinge - side * 0.1, y - h * 1.75)], closed=False)
        canvas.stroke(arm, 0.024, darker(frame, 0.3), gloss=0.4)
    bridge_y = y - h * 0.35
    canvas.stroke(smooth([(0.5 - gap - 0.02, bridge_y), (0.5, bridge_y - 0.035),
        (0.5 + gap + 0.02, bridge_y)], closed=False), thick * 0.9, frame, gloss=0.6)
    if style == 2:
        canvas.stroke(points((0.5 - gap - w * 0.6, y - h * 0.9), (0.5 + gap + w * 0.6, y - h * 0.9)),
            0.016, frame, gloss=0.8)
    for outline in (lens, mirrored(lens)):
        centre = float(outline[:, 0].mean())
        canvas.fill(outline, tint, Form.BEVEL, bevel=0.1, gloss=1.0)
        canvas.paint(ellipse(centre, y + h * 0.4, w * 0.7, h * 0.35), lighter(tint, 0.35),
            0.5, soft=0.03)
        glint = transformed(box(centre - w * 0.5, y - h * 0.5, centre - w * 0.3, y + h * 0.3), turn=25,
            about=(centre, y))
        canvas.paint(glint, PAPER, 0.35, soft=0.006)
        canvas.stroke(outline, thick, frame, closed=True, gloss=0.6, printed=pattern, contact=0.3)
    for side in (1, -1):
        hinge = 0.5 + side * (edge - 0.5)
        canvas.fill(box(hinge - 0.025, y - h * 0.62, hinge + 0.025, y - h * 0.3, 0.012), frame,
            gloss=0.6)
    canvas.paint(logo_outlines(p.logo, 0.5 + edge - 0.5 - w * 0.25, y + h * 0.45, 0.024), p.logo_rgb)


def umbrella(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw an open umbrella: a wide or a deep canopy on a straight stick with a hooked or ball grip."""
    tilt = p.between(0, -16, 16)
    about = (0.5, 0.5)
    wide, tall = p.between(1, 0.38, 0.44), p.between(2, 0.26, 0.36)
    rim = 0.14 + tall
    grip = (WALNUT, OAK, CHARCOAL)[p.style % 3]
    canvas.stroke(transformed(points((0.5, 0.09), (0.5, 0.82)), turn=tilt, about=about), 0.018, STEEL,
        gloss=0.8)
    hook = p.style % 4 != 3
    if hook:
        crook = smooth([(0.5, 0.74), (0.5, 0.86), (0.52, 0.91), (0.56, 0.92), (0.595, 0.89),
            (0.6, 0.85)], closed=False)
        canvas.stroke(transformed(crook, turn=tilt, about=about), 0.034, grip, gloss=0.5)
    else:
        canvas.fill(transformed(box(0.475, 0.74, 0.525, 0.92, 0.025), turn=tilt, about=about), grip,
            gloss=0.5)
    panels = 5 + p.style % 2 * 2
    dome_x = np.linspace(-1, 1, panels + 1)
    scallop = []
    for a, b in itertools.pairwise(dome_x):
        t = np.linspace(0, 1, 8)[:-1]
        x = np.sin(np.radians(90 * (a + (b - a) * t)))
        sag = np.sin(np.pi * t) * 0.05
        scallop.append(np.stack([0.5 + x * wide, rim + 0.045 * np.sqrt(np.maximum(0,
            1 - x * x)) - sag], 1))
    edge = np.concatenate(scallop)
    dome = np.concatenate([ellipse(0.5, rim, wide, tall, 180, 360, 40), edge[::-1]])
    inside = ellipse(0.5, rim, wide * 0.97, 0.045)
    canvas.fill(transformed(inside, turn=tilt, about=about), darker(p.main_rgb, 0.6), Form.FLAT)
    canvas.stroke(transformed(points((0.5, rim - 0.05), (0.5, rim + 0.2)), turn=tilt, about=about), 0.018,
        STEEL, gloss=0.8)
    canvas.fill(transformed(dome, turn=tilt, about=about), p.main_rgb, Form.DOME, printed=pattern, gloss=0.25)
    for i, x in enumerate(dome_x[1:-1]):
        s = float(np.sin(np.radians(90 * x)))
        y_edge = rim + 0.045 * float(np.sqrt(max(0.0, 1 - s * s)))
        rib = smooth([(0.5, rim - tall), (0.5 + s * wide * 0.68, rim - tall * 0.72),
            (0.5 + s * wide, y_edge)], closed=False)
        if p.style % 3 == 0 and i + 1 < len(dome_x) - 1 and i % 2 == 0:
            s2 = float(np.sin(np.radians(90 * dome_x[i + 2])))
            rib2 = smooth([(0.5, rim - tall), (0.5 + s2 * wide * 0.68, rim - tall * 0.72),
                (0.5 + s2 * wide, rim - 0.01)], closed=False)
            canvas.paint(transformed(np.concatenate([rib, rib2[::-1]]), turn=tilt, about=about), p.accent_rgb,
                0.95)
        canvas.line(transformed(rib, turn=tilt, about=about), 0.007, darker(p.main_rgb, 0.55), 0.7)
    canvas.fill(transformed(box(0.488, 0.085, 0.512, 0.155, 0.01), turn=tilt, about=about), STEEL,
        gloss=0.8)
    lx, ly = transformed(points((0.5, rim - tall * 0.33)), turn=tilt, about=about)[0]
    canvas.paint(logo_outlines(p.logo, float(lx), float(ly), 0.055), p.logo_rgb)


def headphones(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw headphones from the front: round or oval cups under a slim or a padded band."""
    half = p.between(0, 0.25, 0.3)
    top, y = p.between(1, 0.12, 0.18), p.between(2, 0.58, 0.64)
    tall, wide = p.between(3, 0.15, 0.19), p.between(4, 0.085, 0.115)
    arch = smooth([(0.5 - half, y - 0.05), (0.5 - half * 0.97, y - 0.22),
        (0.5 - half * 0.62, top + 0.05), (0.5, top), (0.5 + half * 0.62,
        top + 0.05), (0.5 + half * 0.97, y - 0.22), (0.5 + half, y - 0.05)], closed=False)
    n = len(arch)
    slim = p.style % 3 == 0
    canvas.stroke(arch, 0.028 if slim else 0.04, STEEL if slim else CHARCOAL, gloss=0.7)
    cut = n // 5
    canvas.stroke(arch[cut:-cut], 0.06 if slim else 0.085, p.main_rgb, gloss=0.2, printed=pattern)
    for side in (-1, 1):
        x = 0.5 + side * half
        canvas.fill(box(x - 0.022, y - 0.24, x + 0.022, y - 0.05, 0.015), STEEL, Form.BARREL,
            gloss=0.9)
        pad = transformed(ellipse(x - side * 0.055, y, wide * 0.8, tall * 0.97), turn=side * -5,
            about=(x, y))
        canvas.fill(pad, CHARCOAL, gloss=0.1)
        for k in (-0.4, 0.4):
            canvas.line(ellipse(x - side * 0.055, y, wide * (0.55 + k * 0.3), tall * 0.9,
                90 if side > 0 else -90, 270 if side > 0 else 90), 0.004, RUBBER, 0.6)
        cup = ellipse(x + side * 0.03, y, wide,
            tall) if p.style % 2 else box(
            x + side * 0.03 - wide, y - tall, x + side * 0.03 + wide, y + tall, wide * 0.8)
        cup = transformed(cup, turn=side * -5, about=(x, y))
        canvas.fill(cup, p.main_rgb, Form.BEVEL, bevel=0.055, gloss=0.5, printed=pattern)
        plate = transformed(cup, side * 0.012, 0, scale=0.66, about=(x + side * 0.03, y))
        canvas.fill(plate, p.accent_rgb, Form.BEVEL, bevel=0.02, gloss=0.6)
        canvas.paint(logo_outlines(p.logo, x + side * 0.042, y, wide * 0.45), p.logo_rgb)
    if p.style % 4 == 1:
        cable = smooth([(0.5 - half, y + tall), (0.5 - half + 0.02, 0.86), (0.4, 0.92),
            (0.55, 0.87), (0.68, 0.91)], closed=False)
        canvas.stroke(cable, 0.012, RUBBER)
    if p.style % 4 == 2:
        canvas.stroke(smooth([(0.5 - half - 0.04, y + tall * 0.7), (0.5 - half + 0.02, 0.86),
            (0.42, 0.88)], closed=False), 0.016, CHARCOAL)
        canvas.fill(ellipse(0.43, 0.88, 0.035, 0.024), CHARCOAL)
