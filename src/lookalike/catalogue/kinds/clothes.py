"""Draw clothes: shoes, shirts, hats."""

# fmt: off
# (Corners in rows show a shape better than one corner per line.)

from __future__ import annotations

import numpy as np

from lookalike.catalogue.outlines import (
    Outline,
    box,
    ellipse,
    mirrored,
    points,
    smooth,
    symmetric,
    transformed,
)
from lookalike.catalogue.palette import PAPER, RUBBER, darker, lighter, mixed
from lookalike.catalogue.patterns import logo_outlines
from lookalike.catalogue.products import Product
from lookalike.catalogue.relief_canvas import Form, Print, ReliefCanvas


def shoe(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a shoe with its toe to the right: sneaker, high-top, lace-up boot or high heel."""
    style = p.style % 4
    if style == 3:
        _heel(canvas, p, pattern)
        return
    collar = (p.between(0, 0.4, 0.44), p.between(0, 0.24, 0.29), p.between(0, 0.1, 0.16))[style]
    sole_top = 0.725
    toe = p.between(1, 0.86, 0.92)
    tongue_x = (0.42, 0.41, 0.4)[style]
    vamp = p.between(2, 0.55, 0.585)
    upper = smooth(
        [(0.1, sole_top + 0.02), (0.1, sole_top + 0.02), (0.095, 0.6), (0.115, (0.5 + collar) / 2),
            (0.12, collar), (0.12, collar),
         (0.25, collar + (0.05 if style < 2 else 0.015)), (tongue_x - 0.03,
             collar - 0.03), (tongue_x, collar - 0.04),
         (tongue_x + 0.035, collar + 0.04), (0.54, vamp - 0.07), (0.66, vamp), (0.8,
             vamp + 0.035), (toe, 0.66), (toe + 0.01, sole_top), (toe, sole_top + 0.02), (
             toe, sole_top + 0.02)]
    )
    canvas.fill(ellipse(0.26, collar + 0.02, 0.14, 0.045), darker(p.accent_rgb, 0.55), Form.FLAT)
    canvas.stroke(smooth([(tongue_x - 0.06, collar + 0.03), (tongue_x - 0.005, collar - 0.045)],
        closed=False), 0.05, p.accent_rgb, gloss=0.1)
    sole = PAPER if p.style // 4 % 3 else p.accent_rgb
    sole = RUBBER if style == 2 else sole
    thick = p.between(3, 0.07, 0.1)
    shape = smooth(
        [(0.085, sole_top - 0.01), (0.085, sole_top - 0.01), (0.4, sole_top + 0.005),
            (0.7, sole_top - 0.005), (toe + 0.03, sole_top - 0.045), (toe + 0.03, sole_top - 0.045),
         (toe + 0.025, sole_top + thick * 0.6), (toe - 0.03, sole_top + thick), (0.5,
             sole_top + thick), (0.11, sole_top + thick), (0.075, sole_top + thick * 0.6)]
    )
    canvas.fill(upper, p.main_rgb, Form.BEVEL, bevel=0.11, printed=pattern,
        gloss=0.2 if style < 2 else 0.45)
    # The heel counter and the toe cap are pieces of their own, sewn on.
    heel = smooth([(0.1, sole_top), (0.1, sole_top), (0.1, 0.58), (0.13, 0.52), (0.19, 0.56),
        (0.23, 0.66), (0.25, sole_top), (0.25, sole_top)])
    canvas.paint(heel, p.accent_rgb)
    if p.style // 4 % 2 == 0:
        cap = smooth([(0.74, sole_top), (0.74, sole_top), (0.76, 0.65), (0.82, 0.605), (0.9, 0.64),
            (toe + 0.02, 0.7), (toe + 0.02, sole_top + 0.01)])
        canvas.paint(cap, p.accent_rgb if style else PAPER)
        canvas.line(smooth([(0.74, sole_top), (0.76, 0.65), (0.82, 0.605)], closed=False), 0.006,
            darker(p.main_rgb, 0.5), 0.7)
    canvas.fill(shape, sole, Form.BEVEL, bevel=0.03, gloss=0.15)
    canvas.line(points((0.085, sole_top + thick * 0.62), (toe + 0.01, sole_top + thick * 0.62)),
        0.012, darker(p.accent_rgb, 0.1))
    for x in np.linspace(0.12, toe - 0.03, 14):
        canvas.line(points((x, sole_top + thick - 0.014), (x, sole_top + thick)), 0.008,
            darker(sole, 0.5))
    # Laces cross the edge from tongue to toe, and lean into the shoe wherever that edge turns.
    edge = smooth([(tongue_x + 0.035, collar + 0.03), (0.54, vamp - 0.07), (0.67, vamp + 0.005)],
        closed=False)
    along = np.gradient(edge, axis=0)
    into = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1, keepdims=True)
    canvas.line(edge + into * 0.03, 0.085, mixed(p.main_rgb, p.accent_rgb, 0.4))
    lace = PAPER if p.style % 3 else darker(p.accent_rgb, 0.1)
    rows = 5 + style
    for at in np.linspace(0, len(edge) - 1, rows).astype(int):
        ends = np.stack([edge[at] + into[at] * 0.075, edge[at] - into[at] * 0.004])
        canvas.stroke(ends, 0.016, lace, contact=0.3)
    canvas.paint(logo_outlines(p.logo, 0.43, 0.63, 0.065), p.logo_rgb)


def _heel(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    lift = p.between(0, 0.16, 0.24)
    floor, back = 0.84, 0.84 - lift
    dx = p.between(1, 0.0, 0.03)
    heel = smooth([(0.11, back - 0.03), (0.25, back + 0.01), (0.19 + dx, back + 0.08),
        (0.165 + dx, floor), (0.165 + dx, floor),
                   (0.135 + dx, floor), (0.135 + dx, floor), (0.13, back + 0.08)])
    canvas.fill(heel, darker(p.accent_rgb, 0.1), Form.DOME, gloss=0.7)
    inside = smooth([(0.13, back - 0.19), (0.3, back - 0.1), (0.52, floor - 0.14),
        (0.6, floor - 0.12), (0.45, floor - 0.08), (0.2, back - 0.02)])
    canvas.fill(inside, darker(p.accent_rgb, 0.35), Form.FLAT)
    body = smooth(
        [(0.1, back - 0.22), (0.1, back - 0.22), (0.2, back - 0.14), (0.36, back - 0.02),
            (0.5, floor - 0.13), (0.62, floor - 0.17), (0.68, floor - 0.165), (0.78, floor - 0.12),
         (0.9, floor - 0.04), (0.93, floor - 0.012), (0.9, floor - 0.005), (0.62,
             floor - 0.005), (0.45, floor - 0.05), (0.28, back + 0.05), (0.14, back + 0.01), (
             0.09, back - 0.06)]
    )
    canvas.fill(body, p.main_rgb, Form.BEVEL, bevel=0.08, gloss=0.75, printed=pattern)
    under = smooth([(0.1, back - 0.01), (0.28, back + 0.05), (0.45, floor - 0.05), (0.62, floor),
        (0.92, floor)], closed=False)
    canvas.stroke(under, 0.02, RUBBER)
    if p.style % 8 == 3:
        canvas.stroke(smooth([(0.12, back - 0.2), (0.24, back - 0.26), (0.34, back - 0.04)],
            closed=False), 0.026, p.accent_rgb, gloss=0.5)
    canvas.fill(logo_outlines(p.logo, 0.69, floor - 0.1, 0.055), p.logo_rgb, Form.DOME, gloss=0.7)


def shirt(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a shirt laid flat: tee, long sleeves, a button shirt with a collar, a tank top."""
    style = p.style % 4
    w, hem = p.between(0, 0.2, 0.24), p.between(1, 0.84, 0.92)
    flare = p.between(2, -0.01, 0.03)
    neck = p.between(3, 0.075, 0.1)
    back = smooth([(0.5 - neck, 0.12), (0.5, 0.1), (0.5 + neck, 0.12), (0.5 + neck * 0.7, 0.19),
        (0.5 - neck * 0.7, 0.19)])
    canvas.fill(back, darker(p.main_rgb, 0.45), Form.FLAT)
    for side in (-1, 1):
        if style == 3:
            break
        arm = _sleeve(p, w) if side > 0 else mirrored(_sleeve(p, w))
        canvas.fill(arm, p.main_rgb, Form.BEVEL, bevel=0.05, gloss=0.05, printed=pattern)
        if style != 1 or p.style % 8 < 4:
            cuff = _cuff(p, w) if side > 0 else mirrored(_cuff(p, w))
            canvas.stroke(cuff, 0.022, p.accent_rgb, gloss=0.05, contact=0.1)
    dip = 0.24 if p.style % 3 == 0 and style in (0, 1) else 0.19  # V or round neck
    strap = 0.5 + neck + (0.055 if style == 3 else 0.13)
    arm_pit = 0.34 if style == 3 else 0.3
    right = np.concatenate([
        points((0.5, dip)) if dip > 0.2 else smooth([(0.5, dip), (0.5 + neck * 0.6, dip - 0.022),
            (0.5 + neck, 0.12)], closed=False),
        points((0.5 + neck, 0.12), (strap, 0.155 if style != 3 else 0.13)),
        smooth([(strap, 0.155 if style != 3 else 0.14), (0.5 + w * (0.93 if style != 3 else 0.78),
            0.24), (0.5 + w, arm_pit)], closed=False),
        smooth([(0.5 + w, arm_pit), (0.5 + w - 0.015, 0.55), (0.5 + w + flare, hem)], closed=False),
        smooth([(0.5 + w + flare, hem), (0.5 + w * 0.5, hem + 0.012), (0.5, hem + 0.014)],
            closed=False),
    ])
    canvas.fill(symmetric(right), p.main_rgb, Form.BEVEL, bevel=0.06, gloss=0.05, printed=pattern,
        contact=0.25)
    for x, y, length, lean in ((-0.7, 0.62, 0.2, 12), (0.72, 0.5, 0.24, -9),
        (0.35, 0.72, 0.14, -14)):
        fold = transformed(ellipse(0.5 + x * w, y, 0.008, length / 2), turn=lean, about=(0.5 + x * w, y))
        canvas.paint(fold, darker(p.main_rgb, 0.55), 0.3, soft=0.012)
    canvas.line(points((0.5 - w - flare + 0.004, hem - 0.022),
        (0.5 + w + flare - 0.004, hem - 0.022)), 0.004, darker(p.main_rgb, 0.5), 0.6)
    if style == 2:
        canvas.paint(box(0.478, 0.2, 0.522, hem + 0.01), darker(p.main_rgb, 0.12), 0.9)
        for y in np.linspace(0.27, hem - 0.07, 6):
            canvas.fill(ellipse(0.5, y, 0.012, 0.012, count=16), PAPER, gloss=0.4)
        for side in (-1, 1):
            flap = points((0.5, 0.2), (0.5 + side * neck, 0.1), (0.5 + side * (neck + 0.045), 0.15),
                (0.5 + side * 0.085, 0.27))
            canvas.fill(flap, p.accent_rgb if p.style % 8 < 4 else lighter(p.main_rgb, 0.1),
                Form.BEVEL, bevel=0.015, gloss=0.05)
        canvas.paint(box(0.55, 0.36, 0.65, 0.47, 0.01), darker(p.main_rgb, 0.15), 0.8)
        canvas.paint(logo_outlines(p.logo, 0.6, 0.415, 0.035), p.logo_rgb)
        return
    rim = points((0.5 - neck, 0.12), (0.5, dip), (0.5 + neck, 0.12)) if dip > 0.2 else smooth(
        [(0.5 - neck, 0.12), (0.5 - neck * 0.6, dip - 0.022), (0.5, dip),
            (0.5 + neck * 0.6, dip - 0.022), (0.5 + neck, 0.12)], closed=False
    )
    canvas.stroke(rim, 0.024, p.accent_rgb, gloss=0.05, contact=0.15)
    canvas.paint(logo_outlines(p.logo, 0.5, 0.46, p.between(4, 0.075, 0.125)), p.logo_rgb)


def _sleeve(p: Product, w: float) -> Outline:
    if p.style % 4 == 1:  # long
        return smooth([(0.6, 0.145), (0.6, 0.145), (0.69, 0.17), (0.78, 0.27), (0.86, 0.72),
            (0.865, 0.75), (0.865, 0.75),
                       (0.775, 0.765), (0.775, 0.765), (0.72, 0.45), (0.5 + w - 0.02,
                           0.33), (0.5 + w - 0.02, 0.33)])
    drop = p.between(5, 0.0, 0.04)
    return smooth([(0.6, 0.145), (0.6, 0.145), (0.69, 0.165), (0.78, 0.24), (0.88, 0.36 + drop),
        (0.88, 0.36 + drop),
                   (0.79, 0.43 + drop), (0.79, 0.43 + drop), (0.5 + w - 0.02,
                       0.33), (0.5 + w - 0.02, 0.33)])


def _cuff(p: Product, w: float) -> Outline:
    if p.style % 4 == 1:
        return points((0.775, 0.745), (0.864, 0.73))
    drop = p.between(5, 0.0, 0.04)
    return points((0.786, 0.42 + drop), (0.872, 0.352 + drop))


def hat(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    """Draw a hat: baseball cap, fedora, knitted beanie, straw sun hat, top hat."""
    style = p.style % 5
    if style == 0:
        _cap(canvas, p, pattern)
    elif style == 2:
        _beanie(canvas, p, pattern)
    else:
        tall = {1: p.between(0, 0.26, 0.32), 3: p.between(0, 0.22, 0.27),
            4: p.between(0, 0.42, 0.52)}[style]
        rim = {1: p.between(1, 0.36, 0.41), 3: p.between(1, 0.44, 0.47),
            4: p.between(1, 0.32, 0.36)}[style]
        base, half = 0.68, p.between(2, 0.2, 0.23)
        head = {1: half * 0.72, 3: half * 0.8, 4: half * 1.02}[style]
        droop = 0.075 if style == 3 else 0.055
        brim = smooth([(0.5 - rim, base - 0.01), (0.5 - rim * 0.6, base - droop),
            (0.5 + rim * 0.6, base - droop), (0.5 + rim, base - 0.01),
                       (0.5 + rim * 0.6, base + droop + 0.015), (0.5,
                           base + droop + 0.03), (0.5 - rim * 0.6, base + droop + 0.015)])
        canvas.fill(brim, p.main_rgb, Form.BEVEL, bevel=0.03, gloss=0.15)
        canvas.paint(ellipse(0.5, base + 0.012, half * 1.15, 0.05), darker(p.main_rgb, 0.6), 0.6,
            soft=0.012)
        top = base - tall
        if style == 4:
            crown = np.concatenate([points((0.5 - head, top), (0.5 + head, top)),
                smooth([(0.5 + half * 0.92, base - tall / 2), (0.5 + half, base)], closed=False),
                                    ellipse(0.5, base, half, 0.042, 0, 180,
                                        24), points((0.5 - half * 0.92, base - tall / 2))])
        else:
            dent = 0.05 if style == 1 else -0.015
            crown = np.concatenate([smooth([(0.5 - half, base),
                (0.5 - half * 0.97, base - tall * 0.5), (0.5 - head, top + 0.02), (0.5 - head * 0.5,
                top - 0.005), (0.5, top + dent),
                                            (0.5 + head * 0.5, top - 0.005), (0.5 + head,
                                                top + 0.02), (
                                                0.5 + half * 0.97, base - tall * 0.5), (
                                                0.5 + half, base)], closed=False),
                                    ellipse(0.5, base, half, 0.042, 0, 180, 24)])
        canvas.fill(crown, p.main_rgb, Form.BARREL, gloss=0.2 if style != 4 else 0.5, printed=pattern)
        if style == 4:
            canvas.fill(ellipse(0.5, top, head, 0.036), lighter(p.main_rgb, 0.12), Form.FLAT,
                contact=0)
        if style == 1:
            canvas.paint(ellipse(0.5, top + 0.05, 0.03, 0.06), darker(p.main_rgb, 0.5),
                0.55, soft=0.02)
        band = np.concatenate([ellipse(0.5, base, half * 1.005, 0.043, 180, 0, 24),
            ellipse(0.5, base - tall * 0.2, half * 0.995, 0.043, 0, 180, 24)])
        canvas.fill(band, p.accent_rgb, Form.BARREL, contact=0.1, gloss=0.3)
        canvas.paint(logo_outlines(p.logo, 0.5 + half * 0.1,
            base - tall * 0.2 + (
            0.065 if style != 4 else -0.06), 0.04 if style != 4 else 0.07), p.logo_rgb)


def _cap(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    top = p.between(0, 0.24, 0.3)
    x0, x1 = 0.13, 0.66
    dome = np.concatenate([smooth([(x0, 0.64), (x0 - 0.005, 0.5), (0.22, top + 0.07), (0.38, top),
        (0.54, top + 0.07), (0.64, 0.5), (x1, 0.63)], closed=False),
                           smooth([(x1, 0.63), (0.5, 0.68), (0.3, 0.69), (x0, 0.64)],
                               closed=False)])
    reach = p.between(1, 0.9, 0.96)
    visor = smooth([(0.42, 0.64), (0.55, 0.585), (0.68, 0.575), (0.84, 0.62), (reach, 0.7),
        (reach - 0.02, 0.725), (0.82, 0.705), (0.62, 0.69), (0.45, 0.685)])
    canvas.fill(dome, p.main_rgb, Form.DOME, gloss=0.12, printed=pattern)
    for line in ([(0.38, top), (0.3, 0.45), (0.28, 0.69)], [(0.38, top), (0.5, 0.44),
        (0.54, 0.66)]):
        canvas.line(smooth(line, closed=False), 0.006, darker(p.main_rgb, 0.5), 0.6)
    canvas.fill(ellipse(0.38, top, 0.025, 0.016), p.accent_rgb)
    canvas.fill(visor, p.accent_rgb if p.style % 2 else p.main_rgb, Form.BEVEL, bevel=0.04,
        gloss=0.15)
    canvas.line(smooth([(0.47, 0.665), (0.62, 0.665), (0.8, 0.685), (reach - 0.03, 0.705)],
        closed=False), 0.005, darker(p.accent_rgb, 0.4), 0.5)
    canvas.paint(logo_outlines(p.logo, 0.43, 0.48, 0.075), p.logo_rgb)


def _beanie(canvas: ReliefCanvas, p: Product, pattern: Print) -> None:
    top = p.between(0, 0.24, 0.32)
    dome = symmetric(smooth([(0.5, top), (0.6, top + 0.02), (0.7, top + 0.14), (0.735, 0.5),
        (0.74, 0.66)], closed=False))
    canvas.fill(dome, p.main_rgb, Form.DOME, gloss=0.02, printed=pattern)
    for x in np.linspace(-1, 1, 13):
        rib = smooth([(0.5 + x * 0.06, top + 0.02), (0.5 + x * 0.2, top + 0.18),
            (0.5 + x * 0.235, 0.66)], closed=False)
        canvas.line(rib, 0.006, darker(p.main_rgb, 0.6), 0.28)
    canvas.fill(box(0.235, 0.62, 0.765, 0.775, 0.045), p.accent_rgb, Form.BARREL, gloss=0.02)
    for x in np.linspace(0.26, 0.74, 21):
        canvas.line(points((x, 0.63), (x, 0.765)), 0.007, darker(p.accent_rgb, 0.6), 0.35)
    if p.style % 10 < 5:
        for k in range(40):  # a bobble of many short threads
            a, r = k * 2.39996, 0.082 * np.sqrt((k + 1) / 40)
            at = (0.5 + r * np.cos(a), top - 0.05 + r * np.sin(a))
            canvas.fill(ellipse(*at, 0.02, 0.02, count=10), mixed(p.accent_rgb, PAPER,
                0.15 * (k % 3)), contact=0.12)
    canvas.fill(ellipse(0.5, 0.695, 0.062, 0.062), darker(p.main_rgb, 0.1), Form.BEVEL, gloss=0.1)
    canvas.paint(logo_outlines(p.logo, 0.5, 0.695, 0.045), p.logo_rgb)
