"""Draw things on a table: mugs, teapots, bottles, vases."""

# fmt: off
# (Corners in rows show a shape better than one corner per line.)

from __future__ import annotations

import numpy as np

from lookalike.catalogue.outlines import Outline, box, ellipse, lathe, points, smooth, transformed
from lookalike.catalogue.palette import (
    BRASS,
    CHARCOAL,
    GLASS,
    LEAF,
    OAK,
    PAPER,
    STEEL,
    darker,
    lighter,
    mixed,
)
from lookalike.catalogue.patterns import logo_outlines
from lookalike.catalogue.products import Product
from lookalike.catalogue.relief_canvas import Form, Print, ReliefCanvas


def mug(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a mug with its handle to the right; straight, tapered, bellied or a low cup on a saucer."""
    style = p.style % 4
    top = p.between(0, 0.18, 0.3) if style != 3 else 0.36
    bottom = 0.8 if style != 3 else 0.74
    wide = p.between(1, 0.22, 0.29) if style != 3 else 0.3
    x = 0.44
    rim = wide * 0.2
    foot = wide * (1.0, 0.74, 0.8, 0.5)[style]
    belly = wide * (1.0, 0.9, 1.14, 0.93)[style]
    if style == 3:
        canvas.fill(ellipse(x, 0.8, 0.42, 0.085), p.accent_rgb, Form.BEVEL, bevel=0.03, gloss=0.5)
        canvas.paint(ellipse(x, 0.785, 0.26, 0.045), darker(p.accent_rgb, 0.25), soft=0.006)
    height = bottom - top
    handle_colour = p.main_rgb if p.style % 3 else p.accent_rgb
    reach = p.between(2, 0.15, 0.2)
    if p.style % 5 == 4 and style != 3:  # an angular handle
        y0, y1 = top + 0.2 * height, top + 0.76 * height
        line = points((x + wide - 0.02, y0), (x + wide + reach, y0), (x + wide + reach, y1),
            (x + belly - 0.04, y1))
    else:
        y0, y1 = top + 0.18 * height, top + 0.8 * height
        line = smooth(
            [(x + wide - 0.03, y0), (x + wide + 0.6 * reach, y0 - 0.01),
                (x + wide + reach, (y0 + y1) / 2 - 0.03),
             (x + wide + 0.55 * reach, y1 - 0.04), (x + belly * 0.9 - 0.03, y1)],
            closed=False,
        )
    canvas.stroke(line, p.between(3, 0.042, 0.06), handle_colour, gloss=0.5)
    profile = [(top, wide), (top + 0.33 * height, (wide + belly) / 2), (top + 0.66 * height, belly),
        (bottom, foot)]
    if style == 2:
        profile = [(top, wide), (top + 0.3 * height, belly), (top + 0.7 * height, belly),
            (bottom, foot)]
    body = lathe(profile, x=x, sag=foot * 0.16)
    canvas.fill(body, p.main_rgb, Form.BARREL, gloss=0.55, printed=pattern)
    canvas.fill(ellipse(x, top, wide, rim), lighter(p.main_rgb, 0.25), Form.FLAT, gloss=0.3,
        contact=0)
    inside = PAPER if p.style % 2 else darker(p.main_rgb, 0.25)
    canvas.fill(ellipse(x, top + 0.004, wide * 0.92, rim * 0.84), darker(inside, 0.35), Form.FLAT,
        contact=0)
    canvas.paint(ellipse(x, top + rim * 0.45, wide * 0.8, rim * 0.5), darker(inside, 0.12), soft=0.012)
    if p.style % 3 == 1:
        canvas.paint(ellipse(x, top + rim * 0.28, wide * 0.84, rim * 0.58), (0.24, 0.13, 0.07))
    canvas.paint(logo_outlines(p.logo, x - 0.02, top + 0.58 * height, wide * 0.42), p.logo_rgb)


def teapot(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a teapot with its spout to the left: round, squat or tall."""
    style = p.style % 3
    half = (0.25, 0.29, 0.2)[style] * p.between(0, 0.93, 1.07)
    top, bottom = ((0.36, 0.8), (0.45, 0.8), (0.27, 0.82))[style]
    mid, height = (top + bottom) / 2, bottom - top
    x = 0.51
    trim = p.accent_rgb if p.style % 2 else p.main_rgb
    if p.style % 4 == 3:  # a bail over the top, as on iron pots
        arch = ellipse(x, top + 0.07, half * 0.85, 0.3 * (1.2 - height), 180, 360, 40)
        canvas.stroke(arch, 0.032, BRASS if p.style % 8 == 3 else CHARCOAL, gloss=0.4)
    else:
        ear = smooth(
            [(x + half * 0.75, top + 0.13 * height), (x + half + 0.1, top + 0.1 * height),
                (x + half + 0.165, mid - 0.02),
             (x + half + 0.08, top + 0.72 * height), (x + half * 0.8, top + 0.8 * height)],
            closed=False,
        )
        canvas.stroke(ear, p.between(1, 0.035, 0.05), trim, gloss=0.5)
    lift = p.between(2, 0.0, 0.07)
    spout = smooth(
        [(x - half * 0.7, mid + 0.16 * height), (x - half * 0.7, mid + 0.16 * height),
            (x - half - 0.06, mid - 0.02),
         (x - half - 0.09, top - lift + 0.03), (x - half - 0.15, top - lift), (x - half - 0.15,
             top - lift),
         (x - half - 0.055, top - lift - 0.01), (x - half - 0.055, top - lift - 0.01),
         (x - half - 0.01, top + 0.1), (x - half * 0.6, mid - 0.24 * height), (x - half * 0.6,
             mid - 0.24 * height)]
    )
    canvas.fill(spout, trim, Form.DOME, gloss=0.5)
    neck = half * p.between(3, 0.5, 0.62)
    profile = [
        (top, neck), (top + 0.13 * height, half * 0.8), (mid, half), (top + 0.82 * height,
            half * 0.8), (bottom, half * 0.55),
    ]
    canvas.fill(lathe([(bottom - 0.02, half * 0.5), (bottom + 0.025, half * 0.55)], x=x, sag=0.025),
        darker(trim, 0.2), Form.BARREL)
    canvas.fill(lathe(profile, x=x, sag=0.04), p.main_rgb, Form.BARREL, gloss=0.6, printed=pattern)
    lid = lathe([(top - 0.075, 0.02), (top - 0.05, neck * 0.6), (top - 0.005, neck * 1.08)], x=x,
        sag=0.028)
    canvas.fill(lid, trim, Form.BARREL, gloss=0.6)
    canvas.fill(ellipse(x, top - 0.09, 0.034, 0.03), p.accent_rgb, gloss=0.6)
    canvas.paint(logo_outlines(p.logo, x, mid + 0.03, height * 0.21), p.logo_rgb)


def bottle(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a bottle: wine, sports flask, soap pump or squat jar bottle, each with a label."""
    style = p.style % 4
    w = p.between(0, 0.105, 0.14)
    if style == 0:  # wine
        neck, shoulder = p.between(1, 0.036, 0.044), p.between(2, 0.38, 0.46)
        body = lathe([(0.1, neck), (0.26, neck), (shoulder - 0.06, neck * 1.25),
            (shoulder + 0.02, w), (0.6, w), (0.92, w)], sag=0.02)
        canvas.fill(body, darker(p.main_rgb, 0.15), Form.BARREL, gloss=0.9)
        canvas.fill(lathe([(0.075, neck * 1.1), (0.12, neck * 1.12), (0.24, neck * 1.1)], sag=0.008),
            p.accent_rgb, Form.BARREL, gloss=0.5)
        canvas.fill(box(0.5 - neck * 1.3, 0.1, 0.5 + neck * 1.3, 0.118, 0.008), darker(p.accent_rgb),
            Form.BARREL, contact=0.1)
        label = (shoulder + 0.11, 0.83)
    elif style == 1:  # sports flask
        w *= 1.08
        body = lathe([(0.25, w * 0.55), (0.29, w * 0.85), (0.35, w),
            (0.6, w * p.between(3, 0.86, 1.0)), (0.92, w)], sag=0.022)
        canvas.fill(body, p.main_rgb, Form.BARREL, gloss=0.5, printed=pattern)
        canvas.stroke(ellipse(0.5, 0.13, 0.05, 0.05, 180, 360), 0.022, CHARCOAL)
        canvas.fill(lathe([(0.14, w * 0.42), (0.16, w * 0.55), (0.26, w * 0.6)], sag=0.012),
            p.accent_rgb, Form.BARREL, gloss=0.4)
        for x in np.linspace(-0.8, 0.8, 7):
            canvas.line(points((0.5 + x * w * 0.55, 0.175), (0.5 + x * w * 0.58, 0.25)), 0.005,
                darker(p.accent_rgb, 0.4))
        label = None
    elif style == 2:  # pump bottle
        w *= 1.3
        body = lathe([(0.36, w * 0.3), (0.39, w * 0.75), (0.44, w), (0.9, w)], sag=0.02)
        canvas.stroke(points((0.5, 0.16), (0.5, 0.33)), 0.022, STEEL)
        canvas.fill(box(0.44, 0.125, 0.56, 0.165, 0.02), CHARCOAL, gloss=0.4)
        canvas.stroke(smooth([(0.46, 0.143), (0.36, 0.15), (0.32, 0.18)], closed=False), 0.024,
            CHARCOAL, gloss=0.4)
        canvas.fill(lathe([(0.3, w * 0.32), (0.375, w * 0.34)], sag=0.01), CHARCOAL, Form.BARREL,
            gloss=0.4)
        canvas.fill(body, p.main_rgb, Form.BARREL, gloss=0.6, printed=pattern)
        label = (0.54, 0.82)
    else:  # milk or juice bottle, filled
        w *= 1.12
        shape = [(0.16, 0.055), (0.26, 0.06), (0.34, w * 0.8), (0.42, w), (0.9, w * 0.97)]
        canvas.fill(lathe(shape, sag=0.025), GLASS, Form.BARREL, gloss=1.0)
        fill = [(0.37, w * 0.86), (0.44, w * 0.95), (0.89, w * 0.92)]
        canvas.fill(lathe(fill, sag=0.022), p.main_rgb, Form.BARREL, gloss=0.9, contact=0,
            printed=pattern)
        canvas.fill(ellipse(0.5, 0.37, w * 0.85, 0.018), lighter(p.main_rgb, 0.35), Form.FLAT,
            contact=0)
        canvas.fill(lathe([(0.1, 0.06), (0.17, 0.062)], sag=0.012), p.accent_rgb, Form.BARREL,
            gloss=0.5)
        label = (0.54, 0.8)
    if label is None:
        canvas.paint(logo_outlines(p.logo, 0.5, 0.62, w * 0.6), p.logo_rgb)
        return
    y0, y1 = label
    paper = p.accent_rgb if style != 0 else PAPER
    tag = lathe([(y0, w * 0.995), (y1, w * 0.995)], sag=0.016)
    canvas.fill(tag, paper, Form.BARREL, gloss=0.15, contact=0,
        printed=pattern._replace(accent=p.accent_rgb) if style == 0 else None)
    for y in (y0 + 0.02, y1 - 0.005):
        canvas.line(ellipse(0.5, y, w * 0.98, 0.015, 0, 180), 0.006, darker(p.main_rgb, 0.2))
    size = min(w * 0.62, (y1 - y0) * 0.33)
    if style == 0:
        canvas.paint(ellipse(0.5, (y0 + y1) / 2 + 0.01, size * 1.25, size * 1.25), p.main_rgb)
    canvas.paint(logo_outlines(p.logo, 0.5, (y0 + y1) / 2 + 0.012, size), p.logo_rgb)


def vase(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a vase, with or without flowers: amphora, bulb, flared or waisted."""
    style = p.style % 4
    w = p.between(0, 0.17, 0.24)
    top, bottom = 0.42, 0.92
    height = bottom - top
    profiles = (
        [(0, 0.45), (0.12, 0.36), (0.38, 0.9), (0.55, 1.0), (0.8, 0.7), (1, 0.42)],
        [(0, 0.34), (0.3, 0.3), (0.55, 0.8), (0.75, 1.0), (0.92, 0.85), (1, 0.6)],
        [(0, 0.95), (0.1, 0.8), (0.4, 0.55), (0.75, 0.48), (0.95, 0.5), (1, 0.55)],
        [(0, 0.7), (0.25, 0.95), (0.5, 0.62), (0.75, 0.95), (0.95, 0.8), (1, 0.7)],
    )
    if p.style % 3 != 2:
        _bouquet(canvas, p, top, w * profiles[style][0][1])
    if style == 0 and p.style % 8 < 4:  # two ears
        for side in (-1, 1):
            ear = smooth([(0.5 + side * w * 0.36, top + 0.08), (0.5 + side * w * 0.95, top + 0.06),
                          (0.5 + side * w * 1.05, top + 0.17), (0.5 + side * w * 0.85,
                              top + 0.24)], closed=False)
            canvas.stroke(ear, 0.03, p.accent_rgb, gloss=0.5)
    body = lathe([(top + t * height, w * half) for t, half in profiles[style]], sag=0.02)
    canvas.fill(body, p.main_rgb, Form.BARREL, gloss=0.7, printed=pattern)
    mouth = w * profiles[style][0][1]
    canvas.fill(ellipse(0.5, top, mouth, mouth * 0.2), lighter(p.main_rgb, 0.15), Form.FLAT,
        contact=0, gloss=0.5)
    canvas.fill(ellipse(0.5, top + 0.003, mouth * 0.82, mouth * 0.14), darker(p.main_rgb, 0.65),
        Form.FLAT, contact=0)
    if p.style % 3 != 2:
        for stem in np.linspace(-0.4, 0.4, 4):
            canvas.line(points((0.5 + stem * mouth, top + 0.01),
                (0.5 + stem * mouth * 1.2, top - 0.05)), 0.012, LEAF)
    y = top + height * (0.58, 0.74, 0.62, 0.74)[style]
    canvas.paint(logo_outlines(p.logo, 0.5, y, w * (0.42, 0.45, 0.3, 0.36)[style]), p.logo_rgb)


def _bouquet(canvas: ReliefCanvas, p: Product, top: float, mouth: float) -> None:
    heads = 3 + p.style % 4
    spread = p.between(5, 0.14, 0.2)
    for i in range(heads):
        share = (i + 0.5) / heads * 2 - 1
        x = 0.5 + share * spread
        y = top - p.between(6 + i % 5, 0.19, 0.3) + abs(share) * 0.06
        stem = smooth([(0.5 + share * mouth * 0.5, top + 0.02),
            (0.5 + share * spread * 0.6, top - 0.1), (x, y)], closed=False)
        canvas.stroke(stem, 0.014, LEAF, contact=0.1)
        if i % 2:
            canvas.fill(_leaf(0.5 + share * spread * 0.8, top - 0.08, 50 * share), LEAF, contact=0.2)
    for i in range(heads):
        share = (i + 0.5) / heads * 2 - 1
        x = 0.5 + share * spread
        y = top - p.between(6 + i % 5, 0.19, 0.3) + abs(share) * 0.06
        petal = p.accent_rgb if i % 2 else mixed(p.accent_rgb, PAPER, 0.45)
        for k in range(6):
            turned = transformed(ellipse(x, y - 0.036, 0.021, 0.032, count=16), turn=60 * k + 20 * i,
                about=(x, y))
            canvas.fill(turned, petal, contact=0.12)
        canvas.fill(ellipse(x, y, 0.02, 0.02, count=16), BRASS if i % 2 else OAK)


def _leaf(x: float, y: float, turn: float) -> Outline:
    blade = smooth([(x, y), (x, y), (x + 0.03, y - 0.05), (x, y - 0.13), (x, y - 0.13),
        (x - 0.03, y - 0.05)])
    return transformed(blade, turn=turn, about=(x, y))
