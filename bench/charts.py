"""Plots as SVG, told apart without colour by shape, fill and dashes. Standard library only."""

import math
from xml.sax.saxutils import escape

FILLS = ("#444444", "url(#lines)", "#ffffff", "#bbbbbb")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "4 2", "1 4")
# Drawn about 0,0: solid ones first.
MARKERS = (
    '<circle r="5" fill="#000000"/>',
    '<rect x="-5" y="-5" width="10" height="10" fill="#000000"/>',
    '<path d="M0 -6 L6 0 L0 6 L-6 0 Z" fill="#ffffff"/>',
    '<path d="M0 -6 L6 5 L-6 5 Z" fill="#ffffff"/>',
    '<path d="M-5 -5 L5 5 M-5 5 L5 -5" fill="none"/>',
    '<circle r="5" fill="#ffffff"/>',
)
WIDTH = 760


class Picture:
    def __init__(self, title, notes, height):
        self.height = height
        self.out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            'font-family="sans-serif" font-size="12">',
            '<defs><pattern id="lines" width="5" height="5" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><rect width="5" height="5" fill="#ffffff"/>'
            '<line x1="0" y1="0" x2="0" y2="5" stroke="#000000" stroke-width="2"/></pattern>'
            '</defs>',
            '<rect width="100%" height="100%" fill="#ffffff"/>']
        self.text(10, 18, title, 'font-weight="bold"')
        for i, note in enumerate(notes):
            self.text(10, 36 + 16 * i, note)

    def text(self, x, y, text, more=""):
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, width=1.0, dash=""):
        self.out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                        f'stroke="#000000" stroke-width="{width}" stroke-dasharray="{dash}"/>')

    def box(self, x, y, width, height, fill):
        self.out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" '
                        f'fill="{fill}" stroke="#000000"/>')

    def marker(self, x, y, kind):
        self.out.append(f'<g transform="translate({x:.1f} {y:.1f})" stroke="#000000" '
                        f'stroke-width="1.5">{MARKERS[kind % len(MARKERS)]}</g>')

    def __str__(self):
        return "\n".join([*self.out, "</svg>\n"])


def factor(value):
    """A ratio, with a digit that says something also where it is small."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if value >= 0.095 else f"{value:.1g}"


def ratio_axis(picture, values, left, right, top, bottom):
    """A logarithmic scale with the line of 1 in it; returns where a ratio is."""
    low = min(-1, math.floor(min((math.log10(v) for v in values), default=0)))
    high = max(1, math.ceil(max((math.log10(v) for v in values), default=0)))

    def place(value):
        return left + (math.log10(value) - low) / (high - low) * (right - left)

    for power in range(low, high + 1):
        x = place(10.0 ** power)
        picture.line(x, top, x, bottom, 2 if power == 0 else 0.5)
        picture.text(x, top - 4, f"{10.0 ** power:g}", 'text-anchor="middle"')
        for step in range(2, 10):
            if power < high:
                x = place(step * 10.0 ** power)
                picture.line(x, top, x, top + 4, 0.5)
    return place


def bars(title, notes, found, legend):
    """found: [(label, series, ratio)]; bars from the line of 1. legend: {series: its words}."""
    left, right, top, step = 210, 690, 48 + 16 * len(notes), 20
    picture = Picture(title, notes, top + step * len(found) + 40)
    place = ratio_axis(picture, [ratio for _, _, ratio in found], left, right, top - 8,
                       picture.height - 32)
    order = list(legend)
    before = None
    for i, (label, series, ratio) in enumerate(found):
        y = top + i * step
        if label != before:
            picture.text(10, y + 13, label)
            before = label
        x, end = sorted((place(1), place(ratio)))
        picture.box(x, y + 3, max(end - x, 1), step - 6, FILLS[order.index(series) % len(FILLS)])
        halo = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
        if ratio >= 1:
            picture.text(end + 4, y + 14, factor(ratio), f'text-anchor="start" {halo}')
        else:
            picture.text(x - 4, y + 14, factor(ratio), f'text-anchor="end" {halo}')
    for i, series in enumerate(order):
        picture.box(10 + 150 * i, picture.height - 22, 14, 12, FILLS[i % len(FILLS)])
        picture.text(30 + 150 * i, picture.height - 12, legend[series])
    return str(picture)


def dots(title, notes, rows, order, target_words):
    """rows: [(label, {series: ratio}, target or None)]; a marker for each series on a scale, which
    is its place in `order` whoever else is there."""
    left, right, top, step = 130, 730, 50 + 16 * len(notes), 22
    present = [name for name in order if any(name in found for _, found, _ in rows)]
    legend_rows = -(-(len(present) + 1) // 4)
    picture = Picture(title, notes, top + step * len(rows) + 16 + 20 * legend_rows)
    bottom = top + step * len(rows)
    ratios = [ratio for _, found, target in rows
              for ratio in (*found.values(), *((target,) if target else ()))]
    place = ratio_axis(picture, ratios, left, right, top, bottom)
    for i, (label, found, target) in enumerate(rows):
        y = top + i * step + step / 2
        picture.text(10, y + 4, label)
        picture.line(left, y, right, y, 0.3)
        if target:
            picture.line(place(target), y - 9, place(target), y + 9, 4)
        for kind in reversed(range(len(order))):
            if order[kind] in found:
                picture.marker(place(found[order[kind]]), y, kind)
    legend(picture, present, bottom + 20,
           lambda x, y, kind: picture.marker(x + 7, y, order.index(present[kind])), target_words)
    return str(picture)


def legend(picture, order, y, draw, target_words=""):
    for kind, series in enumerate([*order, *([target_words] if target_words else [])]):
        at_x, at_y = 10 + 185 * (kind % 4), y + 20 * (kind // 4)
        if kind < len(order):
            draw(at_x, at_y, kind)
        else:
            picture.line(at_x + 7, at_y - 8, at_x + 7, at_y + 8, 4)
        picture.text(at_x + 26, at_y + 4, series)


def steps(low, high):
    """About five round numbers from low to high."""
    if high <= low:
        high = low + 1
    unit = 10.0 ** math.floor(math.log10((high - low) / 4))
    unit *= next((m for m in (1, 2, 5) if (high - low) / (unit * m) <= 6), 10)
    return [unit * i for i in range(math.floor(low / unit), math.ceil(high / unit) + 1)]


def lines(title, notes, x_words, series, powers=False):
    """series: {name: [(x, y)]}; y begins at 0, x is logarithmic with `powers`."""
    left, right, top, height = 60, 730, 40 + 16 * len(notes), 260
    bottom = top + height
    picture = Picture(title, notes, bottom + 62 + 20 * ((len(series) - 1) // 4))
    points = [point for found in series.values() for point in found]
    scale = math.log10 if powers else float
    xs = [scale(x) for x, _ in points]
    low, high = min(xs), max(max(xs), min(xs) + 1e-9)
    y_steps = steps(0, max(y for _, y in points))

    def place(x, y):
        return (left + (scale(x) - low) / (high - low) * (right - left),
                bottom - y / y_steps[-1] * height)

    for y in y_steps:
        at = place(points[0][0], y)[1]
        picture.line(left, at, right, at, 0.3)
        picture.text(left - 6, at + 4, f"{y:g}", 'text-anchor="end"')
    for x in sorted({x for x, _ in points}) if powers else [s for s in steps(low, high)
                                                           if low <= s <= high]:
        at = place(x, 0)[0]
        picture.line(at, bottom, at, bottom + 5)
        picture.text(at, bottom + 18, f"{x:,.0f}" if powers else f"{x:g}", 'text-anchor="middle"')
    picture.text(right, bottom + 34, x_words, 'text-anchor="end"')
    for kind, found in enumerate(series.values()):
        places = [place(*point) for point in found]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        picture.out.append(f'<polyline points="{path}" fill="none" stroke="#000000" '
                           f'stroke-width="1.5" stroke-dasharray="{DASHES[kind % len(DASHES)]}"/>')
        # Some markers along the line are enough to tell it by.
        for x, y in places[::max(1, len(places) // 12)]:
            picture.marker(x, y, kind)
    legend(picture, list(series), bottom + 50, lambda x, y, kind: picture.marker(x + 7, y, kind))
    return str(picture)
