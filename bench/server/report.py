"""report.py DIRECTORY [PAGE]: writes the report and its plots from results.csv, facts.json and
machine.md in the directory.

The report goes to DIRECTORY/report.md, or to PAGE in a directory above, which then links to the
plots by DIRECTORY's name. Every figure is the median of its rounds; a ratio says how many times
less a contender needs than native EXTERNAL for random bytes, or than native lz4 for compressible.
"""

import json
import os
import statistics
import sys

import charts
from contenders import CONTENDERS, OURS, reference
from results import read
from sources import SIZES
from targets import TARGETS

TITLES = {
    "insert": ("Bulk insert", "One statement on the server, commit included, after a checkpoint."),
    "copy": ("COPY from a client", "One binary COPY from a file of the client's, "
             "after a checkpoint."),
    "commit 1 client, sync on": ("One value a transaction, 1 client, synchronous_commit on", ""),
    "commit 4 clients, sync on": ("One value a transaction, 4 clients, synchronous_commit on", ""),
    "commit 1 client, sync off": ("One value a transaction, 1 client, synchronous_commit off", ""),
    "commit 4 clients, sync off": ("One value a transaction, 4 clients, synchronous_commit off",
                                   ""),
    "read": ("Full read from shared buffers", "By id, one after another, each value whole."),
    "cold": ("Full read from the page cache only",
             "The server is restarted and shared buffers filled with something else, then each "
             "value is read once by id. The files are in the system's page cache."),
    "slice": ("Slices of 1000 bytes, cached", "Anywhere in a value."),
    "update": ("Update of every value", "One statement after a checkpoint. In a store by id: "
               "delete and put."),
    "delete": ("Delete of every value and VACUUM", "After a checkpoint; both are timed."),
}
CLIENTS = ("Values come from a table of the server's; the time is the clock's for a transaction, "
           "all clients together.")


def amount(us):
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if us >= factor:
            return f"{us / factor:.3g} {unit}"
    return f"{us:.3g} us"


def figure(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 0.01 else f"{value:.3f}".rstrip("0").rstrip(".")


def size(count):
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} B"


def median(metrics, metric):
    return statistics.median(metrics[metric]) if metric in metrics else None


def order(cell):
    return (cell[0] != "random", cell[0] != "text", cell[1])


def label(cell):
    return f"{cell[0]}, {SIZES.get(cell[1], f'{cell[1]} B')}"


def ratio(contenders, name, data, metric="us"):
    """How many times less than the reference, or None."""
    base = contenders.get(reference(data), {})
    mine, theirs = median(contenders.get(name, {}), metric), median(base, metric)
    if mine is None or theirs is None:
        return None
    return theirs / max(mine, 1e-9)


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


class Report:
    def __init__(self, directory, page):
        self.directory = directory
        self.found = read(os.path.join(directory, "results.csv"))
        self.plots = os.path.relpath(directory, os.path.dirname(page))
        with open(os.path.join(directory, "facts.json")) as facts:
            self.facts = json.load(facts)
        self.parts = []

    def say(self, text):
        self.parts.append(text.rstrip("\n") + "\n")

    def plot(self, name, title, svg):
        name = name.replace(", ", "-").replace(" ", "-")
        with open(os.path.join(self.directory, f"{name}.svg"), "w") as out:
            out.write(svg)
        self.say(f"![{title}]({os.path.join(self.plots, name)}.svg)")

    def contenders(self, cells):
        present = {name for found in cells.values() for name in found}
        extra = sorted(name for name in present if name.startswith("("))
        return [c.name for c in CONTENDERS if c.name in present], extra

    def head(self):
        facts = self.facts
        self.say("# toaststore beside native TOAST\n\nMade by `script/bench`; bench/README.md says "
                 "what is compared and how it is kept comparable.")
        with open(os.path.join(self.directory, "machine.md")) as machine:
            lines = machine.read()
        lines += f"- {facts['server']}, toaststore {facts['extension']}\n"
        lines += f"- {'; '.join(facts['settings'])}\n"
        lines += (f"- {facts['cell_bytes'] / 1e6:.0f} MB of values in each cell, "
                  f"{facts['rounds']} rounds, contenders interleaved\n")
        lines += "- Time: " + ", ".join(f"{part} {seconds:.0f} s"
                                        for part, seconds in facts["seconds"].items()) + "\n"
        for name, why in facts["skipped"].items():
            lines += f"- **Not measured: {name}**: {why}\n"
        self.say(lines)
        self.say("Figures are medians, with least and most of all rounds in parentheses. Ratios "
                 "say how many times less a contender needs than native EXTERNAL does for random "
                 "bytes, and than native lz4 for text and JSON: above 1 it is ahead.")

    def targets(self):
        """What is to be reached, beside what was."""
        for ours in OURS:
            rows = []
            for target in TARGETS:
                for data in ("random", "text", "json"):
                    row = self.target_row(target, data, ours)
                    if row:
                        rows.append(row)
            if rows:
                self.say(f"## The targets: {ours}\n\nEach figure with its target; in bold where "
                         "it is reached.")
                self.say(table(["", "data", *SIZES.values()], rows))
        with open(os.path.join(os.path.dirname(__file__), "remarks.md")) as remarks:
            self.say(remarks.read())

    def target_row(self, target, data, ours):
        cells = self.found.get(target.operation, {})
        if data not in target.data or not any(c == data and ours in cells[c, s] for c, s in cells):
            return None
        row = [target.words, data]
        for size in SIZES:
            wanted = target.sizes.get(size)
            contenders = cells.get((data, size), {})
            if target.least:
                got = ratio(contenders, ours, data, target.metric)
            else:
                got = median(contenders.get(ours, {}), target.metric)
            if got is None or (wanted is None and not target.least):
                row.append("")
                continue
            text = charts.factor(got) if target.least else figure(got)
            if wanted is None:
                row.append(text)
                continue
            if got >= wanted if target.least else got <= wanted:
                text = f"**{text}**"
            row.append(f"{text} ({'≥' if target.least else '≤'} {wanted:g})")
        return row

    def operations(self):
        for operation, (title, words) in TITLES.items():
            cells = self.found.get(operation)
            if not cells:
                continue
            self.say(f"## {title}\n\n{words or CLIENTS}")
            names, extra = self.contenders(cells)
            rows = []
            for cell in sorted(cells, key=order):
                rows.append([label(cell)] + [self.time(cells[cell], name, cell[0])
                                             for name in names + extra])
            self.say(table(["values", *names, *extra], rows))
            self.plot_ratios(operation, title, cells, names)
            if any("wal" in metrics for found in cells.values() for metrics in found.values()):
                self.bytes(operation, cells, names)

    @staticmethod
    def time(found, name, data):
        if name not in found:
            return ""
        times = found[name]["us"]
        text = amount(statistics.median(times))
        if len(times) > 1:
            text += f" ({amount(min(times))} to {amount(max(times))})"
        gain = ratio(found, name, data) if name != reference(data) and name[0] != "(" else None
        return text + (f" **{charts.factor(gain)}x**" if gain else "")

    def plot_ratios(self, operation, title, cells, names):
        targets = {(data, size): target.sizes.get(size) for target in TARGETS
                   if target.operation == operation and target.metric == "us"
                   for data in target.data for size in SIZES}
        rows = []
        for cell in sorted(cells, key=order):
            ratios = {name: ratio(cells[cell], name, cell[0]) for name in names
                      if name != reference(cell[0])}
            ratios = {name: value for name, value in ratios.items() if value}
            if ratios:
                rows.append((label(cell), ratios, targets.get(cell)))
        if rows:
            ours_first = sorted((c.name for c in CONTENDERS), key=lambda name: name not in OURS)
            notes = ["Times less time than native EXTERNAL (random bytes) or native lz4",
                     "(text, JSON): right of 1 is ahead"]
            self.plot(operation, title, charts.dots(
                title, notes, rows, ours_first,
                "target" if any(target for _, _, target in rows) else ""))

    def bytes(self, operation, cells, names):
        deleted = operation == "delete"
        self.say("Bytes of write-ahead log for each value, and bytes of disk left for each byte "
                 "deleted:" if deleted else
                 "Bytes of write-ahead log, and of disk, for each byte of value before "
                 "compression:")
        rows = []
        for cell in sorted(cells, key=order):
            row = [label(cell)]
            for name in names:
                metrics = cells[cell].get(name, {})
                log = median(metrics, "wal_value" if deleted else "wal")
                disk = median(metrics, "disk")
                row.append("" if log is None else
                           f"{size(log) if deleted else figure(log)}, {figure(disk)}")
            rows.append(row)
        self.say(table(["log, disk", *names], rows))

    def latency(self):
        cells = self.found.get("latency")
        if not cells:
            return
        self.say("## Small commits beside a large writer\n\nOne client commits small rows of a "
                 "plain table, while another stores 16 MB values, one a transaction.")
        rows = []
        for found in cells.values():
            names, extra = self.contenders(cells)
            for name in extra + names:
                metrics = found[name]
                writer = median(metrics, "writer")
                rows.append([name, *(amount(median(metrics, metric))
                                     for metric in ("us", "p99", "most")),
                             f"{writer:.0f} MB/s" if writer else ""])
        self.say(table(["writer", "median", "99 of 100", "longest", "what the writer stores"],
                       rows))

    def counts(self):
        cells = self.found.get("counts")
        if not cells:
            return
        self.say("## From ten thousand values to ten million\n\nValues of 2.1 kB, random bytes. "
                 "Insert: time a value, from the count before on. Reads: random ids, for the first "
                 "time after the insert (what does not fit the page cache comes from the disk) and "
                 "again. One round, with max_wal_size = 1500MB.")
        names, _ = self.contenders(cells)
        rows = []
        for cell in sorted(cells, key=lambda cell: cell[1]):
            for name in names:
                metrics = cells[cell].get(name)
                if metrics:
                    rows.append([f"{cell[1]:,}", name,
                                 *(amount(median(metrics, metric))
                                   for metric in ("us", "read_first", "read_again")),
                                 figure(median(metrics, "disk"))])
        self.say(table(["values", "", "insert", "first read", "read again", "disk a byte"], rows))
        for metric, title in (("us", "Insert of a value of 2.1 kB"),
                              ("read_again", "Random read of a value of 2.1 kB")):
            series = {name: [(cell[1], median(cells[cell][name], metric))
                             for cell in sorted(cells, key=lambda cell: cell[1])
                             if name in cells[cell]] for name in names}
            self.plot(f"counts {metric.replace('_', ' ')}", title, charts.lines(
                title, ["Microseconds, by the number of values stored"], "values stored", series,
                powers=True))

    def wrap(self):
        cells = self.found.get("wrap")
        if not cells:
            return
        self.say("## A put after the ids have come round\n\nThe counter of ids stands before a "
                 "dense range of taken ones. Native TOAST takes ids from one 32-bit counter of the "
                 "cluster, set back here by `pg_resetwal -o`. The stores of toaststore count for "
                 "themselves, and nothing sets their counters back.")
        rows = []
        for cell, found in cells.items():
            for name, metrics in found.items():
                after = median(metrics, "us")
                rows.append([f"{cell[1]:,}", name, amount(median(metrics, "before")),
                             amount(after) if after else ""])
        self.say(table(["taken ids", "", "a put before", "the first put after"], rows))

    def text(self):
        self.head()
        self.targets()
        self.operations()
        self.latency()
        self.counts()
        self.wrap()
        return "\n".join(self.parts)


def main():
    directory, page = sys.argv[1], [*sys.argv[2:], os.path.join(sys.argv[1], "report.md")][0]
    text = Report(directory, page).text()
    with open(page, "w") as out:
        out.write(text)


if __name__ == "__main__":
    main()
