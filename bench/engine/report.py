#!/usr/bin/env python3
"""report.py RESULTS DIRECTORY: writes report.md, and a plot for each workload, from results.csv.

Every figure is the median of its rounds. A ratio says how much better toaststore is: of times, the
other's by its own; of rates, its own by the other's. Above 1 it is ahead. Only the standard library
is used.
"""

import csv
import math
import statistics
import sys
from collections import defaultdict

OURS = "toaststore"
OTHERS = ["rocksdb", "lmdb", "lmdb+lz4"]
WORKLOADS = {
    "load": "Bulk load: 8 MB a transaction, each durable; until nothing is left to flush",
    "load_durable": "The same, until the last transaction is durable",
    "put": "Synced put: one value a transaction",
    "get": "Random get: a copy in the caller's memory",
    "slice": "Slice: 1000 bytes from anywhere in a value",
    "scan": "Scan: every value in the order of ids, copied",
    "churn": "Churn: 8 values replaced a transaction, until nothing is left to flush or collect",
    "open_after_kill": "Open after the process was killed amid puts, and a first get",
    "disk": "Bytes on disk when loaded",
    "disk_after_churn": "Bytes on disk after all puts and the churn",
}
# Told apart without colour.
FILLS = {"rocksdb": "#444444", "lmdb": "url(#lines)", "lmdb+lz4": "#ffffff"}


def read(path):
    """{workload: {(data, value, total): {contender: (unit, [results])}}}"""
    found = defaultdict(lambda: defaultdict(dict))
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            cell = (row["data"], int(row["value"]), int(row["total"]))
            cells = found[row["workload"]][cell]
            cells.setdefault(row["contender"], (row["unit"], []))[1].append(float(row["result"]))
    return found


def size(count):
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"


def amount(value, unit):
    if unit == "s":
        for name, factor in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
            if value >= factor:
                return f"{value / factor:.3g} {name}"
        return f"{value / 1e-9:.3g} ns"
    if unit == "B":
        return f"{value / 1e6:.0f} MB"
    return f"{value / 1e6:.3g} MB/s" if value < 1e8 else f"{value / 1e6:.0f} MB/s"


def spread(result):
    unit, values = result
    text = amount(statistics.median(values), unit)
    if len(values) > 1:
        text += f" ({amount(min(values), unit)} to {amount(max(values), unit)})"
    return text


def ratio(ours, other):
    unit = ours[0]
    mine, theirs = statistics.median(ours[1]), statistics.median(other[1])
    return mine / theirs if unit == "B/s" else theirs / mine


def factor(value):
    return f"{value:.2f}" if value >= 0.095 else f"{value:.1g}"


def label(cell):
    data, value, total = cell
    return f"{size(value)} {data}, {size(total)}"


def order(cell):
    return (cell[0] != "random", cell[1], cell[2])


def write_table(out, workload, cells):
    present = [name for name in OTHERS if any(name in cell for cell in cells.values())]
    out.write(f"\n### {WORKLOADS[workload]}\n\n")
    heads = ["values", OURS] + present + [f"by {name}" for name in present]
    out.write("| " + " | ".join(heads) + " |\n")
    out.write("|---" + "|---:" * (len(heads) - 1) + "|\n")
    for cell in sorted(cells, key=order):
        results = cells[cell]
        row = [label(cell), spread(results[OURS])]
        row += [spread(results[name]) if name in results else "" for name in present]
        row += [factor(ratio(results[OURS], results[name])) if name in results else ""
                for name in present]
        out.write("| " + " | ".join(row) + " |\n")
    if workload not in ("disk", "disk_after_churn", "load_durable"):
        out.write(f"\n![{WORKLOADS[workload]}]({workload}.svg)\n")


def plot(workload, cells):
    """Bars of ratios on a logarithmic scale, from the line of 1."""
    bars = []
    for cell in sorted(cells, key=order):
        for name in OTHERS:
            if name in cells[cell]:
                bars.append((label(cell), name, ratio(cells[cell][OURS], cells[cell][name])))
    left, right, top, step = 210, 690, 64, 20
    height = top + step * len(bars) + 40
    reach = max(1.0, max(abs(math.log10(bar[2])) for bar in bars))
    middle = (left + right) / 2

    def place(value):
        return middle + math.log10(value) / reach * (right - left) / 2

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<defs><pattern id="lines" width="5" height="5" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="5" height="5" fill="#ffffff"/>'
        '<line x1="0" y1="0" x2="0" y2="5" stroke="#000000" stroke-width="2"/></pattern></defs>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="10" y="18" font-weight="bold">{WORKLOADS[workload]}</text>',
        f'<text x="10" y="36">right of 1: {OURS} is ahead by that factor</text>',
    ]
    ticks = [10.0 ** k for k in range(-math.floor(reach), math.floor(reach) + 1)]
    for tick in ticks:
        x = place(tick)
        width = 2 if tick == 1 else 0.5
        out.append(f'<line x1="{x:.1f}" y1="{top - 8}" x2="{x:.1f}" y2="{height - 32}" '
                   f'stroke="#000000" stroke-width="{width}"/>')
        out.append(f'<text x="{x:.1f}" y="{top - 12}" text-anchor="middle">{tick:g}</text>')
    before = None
    for i, (cell, name, value) in enumerate(bars):
        y = top + i * step
        if cell != before:
            out.append(f'<text x="10" y="{y + 13}">{cell}</text>')
            before = cell
        x, end = sorted((middle, place(value)))
        out.append(f'<rect x="{x:.1f}" y="{y + 3}" width="{max(end - x, 1):.1f}" '
                   f'height="{step - 6}" fill="{FILLS[name]}" stroke="#000000"/>')
        at = end + 4 if value >= 1 else x - 4
        anchor = "start" if value >= 1 else "end"
        out.append(f'<text x="{at:.1f}" y="{y + 14}" text-anchor="{anchor}" stroke="#ffffff" '
                   f'stroke-width="3" paint-order="stroke">{factor(value)}</text>')
    x = 10
    for name in sorted({bar[1] for bar in bars}, key=OTHERS.index):
        out.append(f'<rect x="{x}" y="{height - 22}" width="14" height="12" '
                   f'fill="{FILLS[name]}" stroke="#000000"/>')
        out.append(f'<text x="{x + 20}" y="{height - 12}">beside {name}</text>')
        x += 150
    out.append("</svg>\n")
    return "\n".join(out)


def main():
    results, directory = sys.argv[1:]
    found = read(results)
    with open(f"{directory}/report.md", "w") as out:
        out.write("## Figures\n\n")
        with open(f"{directory}/machine.md") as machine:
            out.write(machine.read())
        out.write("\nMedians, with the least and most of all rounds. The columns `by` say how many "
                  "times better\ntoaststore is: below 1 it is behind.\n")
        for workload in WORKLOADS:
            if workload not in found:
                continue
            write_table(out, workload, found[workload])
            if workload not in ("disk", "disk_after_churn", "load_durable"):
                with open(f"{directory}/{workload}.svg", "w") as picture:
                    picture.write(plot(workload, found[workload]))


if __name__ == "__main__":
    main()
