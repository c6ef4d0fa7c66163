#!/usr/bin/env python3
"""report.py RESULTS DIRECTORY: writes report.md, and a plot for each workload, from results.csv.

Every figure is the median of its rounds. A ratio says how much better toaststore is: of times, the
other's by its own; of rates, its own by the other's. Above 1 it is ahead.
Plots are drawn by bench/charts.py: bench has to be on PYTHONPATH.
"""

import csv
import statistics
import sys
from collections import defaultdict

import charts

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
        row += [charts.factor(ratio(results[OURS], results[name])) if name in results else ""
                for name in present]
        out.write("| " + " | ".join(row) + " |\n")
    if workload not in ("disk", "disk_after_churn", "load_durable"):
        out.write(f"\n![{WORKLOADS[workload]}]({workload}.svg)\n")


def plot(workload, cells):
    """Bars of ratios."""
    found = [(label(cell), name, ratio(cells[cell][OURS], cells[cell][name]))
             for cell in sorted(cells, key=order) for name in OTHERS if name in cells[cell]]
    present = {name for _, name, _ in found}
    return charts.bars(WORKLOADS[workload], [f"right of 1: {OURS} is ahead by that factor"], found,
                       {name: f"beside {name}" for name in OTHERS if name in present})


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
