"""main.py DIRECTORY BIN PARTS [--quick] [--rounds N]: measures the parts and writes results.csv.

Called by script/bench as the server's user, in the directory of a server that runs. The parts and
how much of each: Plan.
"""

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, replace

from commits import Commits
from connection import Failure, Server
from contenders import CONTENDERS, missing
from counts import VALUE_BYTES, Counts
from results import Results
from sources import SIZES, corpora, prepare
from storage import Storage

NATIVE = "native EXTERNAL"
TABLES = "toaststore tables"
STORE = "toaststore by id"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int = 3  # after one to warm up
    cell_bytes: int = 64_000_000  # of all values of one kind and size, but at least one value
    kinds: tuple = ("random", "text", "json")
    read_passes: int = 4
    slice_bytes: int = 2_000_000_000  # slices, times the bytes of a value, between the next two
    slices_least: int = 256
    slices_most: int = 20_000
    commit_kinds: tuple = ("random", "json")
    commit_sizes: tuple = tuple(SIZES)
    commit_beside: tuple = ("large objects", TABLES, STORE)  # the reference
    commit_seconds: int = 1
    latency_contenders: tuple = (NATIVE, "large objects", TABLES, STORE)
    latency_seconds: int = 5
    count_contenders: tuple = (NATIVE, TABLES, STORE)
    value_counts: tuple = (10**4, 10**5, 10**6, 10**7)
    count_source: int = 10_000
    count_reads: int = 20_000
    wrap_values: int = 10**6
    warm_cell: object = None

    def disk_bytes(self, chosen):
        """The most that all of it takes at a time, log included."""
        sources = 2.2 * self.cell_bytes * len(SIZES) * len(self.kinds)
        subjects = 2.5 * self.cell_bytes * len(CONTENDERS)
        log = 5e9
        values = max(self.value_counts if "counts" in chosen else (0,))
        # Native TOAST gets three values of 2.1 kB into a page; the log is kept short for them.
        return max(sources + subjects + log, 1.37 * VALUE_BYTES * values + 2e9)


QUICK = Plan(
    rounds=1, cell_bytes=2_000_000, read_passes=1, slice_bytes=200_000_000, slices_least=16,
    slices_most=1000, commit_sizes=(2500, 1048576), commit_kinds=("random",),
    commit_beside=(TABLES, STORE), latency_contenders=(NATIVE, TABLES, STORE),
    latency_seconds=1, value_counts=(10**4, 3 * 10**4), count_reads=2000, wrap_values=20_000)


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("bin")
    parser.add_argument("parts")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    return options, set(options.parts.split()), plan


class Run:
    def __init__(self, options, chosen, plan):
        self.server = Server(options.directory, options.bin)
        self.chosen = chosen
        self.plan = plan
        self.quick = options.quick
        self.skipped = missing(self.server.session)
        for name, why in self.skipped.items():
            print(f"SKIPPED: {name}: {why}", file=sys.stderr, flush=True)
        contenders = [c for c in CONTENDERS if c.name not in self.skipped]
        results = Results("results.csv", chosen)
        self.plan = plan = replace(plan, warm_cell=prepare(self.server, "random", 8000, 1, {},
                                                           "source_warm"))
        parts = (self.server, results, contenders, plan)
        self.storage = Storage(*parts)
        self.commits = Commits(*parts)
        self.counts = Counts(*parts)
        self.seconds = {}

    def first_round(self):
        """A quick run has nothing to warm up for: its times mean nothing."""
        return 1 if self.quick else 0

    def count(self, size):
        return max(self.plan.cell_bytes // size, 1)

    def everything(self):
        with_storage = set(Storage.OPERATIONS) & self.chosen
        with_commits = "commit" in self.chosen
        texts = corpora() if with_storage or with_commits else {}
        cells = []
        if with_storage or with_commits:
            for kind in self.plan.kinds:
                for size in SIZES:
                    self.show(f"making values: {kind}, {SIZES[size]}")
                    cells.append(prepare(self.server, kind, size, self.count(size), texts))
        steps = []
        for number in range(self.first_round(), self.plan.rounds + 1):
            if with_storage:
                steps += [("storage", number, cell, self.storage.run_cell) for cell in cells]
            if with_commits and number > 0:
                steps += [("commit", number, cell, self.commits.run_commits) for cell in cells
                          if cell.data in self.plan.commit_kinds
                          and cell.bytes in self.plan.commit_sizes]
        if "latency" in self.chosen:
            large = prepare(self.server, "random", 16777216, 4, {}, "source_large")
            steps += [("latency", number, large, self.commits.run_latency)
                      for number in range(1, self.plan.rounds + 1)]
        for done, (part, number, cell, step) in enumerate(steps):
            self.show(f"{done} of {len(steps)}: {part}, round {number} of {self.plan.rounds}, "
                      f"{cell.label}")
            self.clocked(part, lambda step=step, number=number, cell=cell: step(number, cell))
        self.many_values(cells)

    def many_values(self, cells):
        """Last, and with little log and no sources beside, for it takes most of the disk."""
        if not self.chosen & set(Counts.OPERATIONS):
            return
        for cell in cells:
            self.server.session.run(f"DROP TABLE {cell.table}")
            os.remove(cell.file)
        self.server.session.run("DROP TABLE junk")
        self.server.session.run("ALTER SYSTEM SET min_wal_size = '1500MB'")
        self.server.session.run("ALTER SYSTEM SET max_wal_size = '1500MB'")
        self.server.session.run("SELECT pg_reload_conf(); CHECKPOINT; CHECKPOINT")
        cell = prepare(self.server, "random", VALUE_BYTES, self.plan.count_source, {},
                       "source_small")
        self.server.session.run("ALTER TABLE source_small ALTER value SET STORAGE PLAIN; "
                                "UPDATE source_small SET value = value || ''; "
                                "VACUUM FULL ANALYZE source_small")
        for part, step in (("counts", self.counts.run_counts), ("wrap", self.counts.run_wrap)):
            if part in self.chosen:
                self.show(f"{part}, up to {max(self.plan.value_counts)} values"
                          if part == "counts" else f"wrap, {self.plan.wrap_values} ids")
                self.clocked(part, lambda step=step: step(cell))

    def clocked(self, part, step):
        started = time.monotonic()
        step()
        self.seconds[part] = self.seconds.get(part, 0) + time.monotonic() - started

    @staticmethod
    def show(what):
        """A line that replaces the one before on a terminal, and lines elsewhere."""
        if sys.stdout.isatty():
            print(f"\r{what:<78.78}", end="", flush=True)
        else:
            print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)

    def facts(self):
        session = self.server.session
        names = ("shared_buffers", "fsync", "synchronous_commit", "wal_level", "full_page_writes",
                 "wal_compression", "wal_sync_method", "autovacuum", "min_wal_size", "max_wal_size",
                 "checkpoint_timeout", "jit", "work_mem", "data_checksums",
                 "shared_preload_libraries")
        settings = session.run("SELECT name || ' = ' || current_setting(name) FROM pg_settings "
                               f"WHERE name IN {names} ORDER BY name")
        return {
            "server": session.value("SELECT split_part(version(), ',', 1)"),
            "extension": session.value(
                "SELECT extversion FROM pg_extension WHERE extname = 'toaststore'"),
            "settings": settings, "skipped": self.skipped,
            "rounds": self.plan.rounds, "cell_bytes": self.plan.cell_bytes}


def main():
    try:
        options, chosen, plan = parse(sys.argv[1:])
        need, free = plan.disk_bytes(chosen), shutil.disk_usage(".").free
        if need > free:
            raise Failure(f"needs {need / 1e9:.0f} GB of disk, {free / 1e9:.0f} GB are free "
                          f"in {options.directory}; set TMPDIR")
        print(f"takes up to {need / 1e9:.0f} GB of disk in {options.directory}", flush=True)
        run = Run(options, chosen, plan)
        facts = run.facts()
        run.everything()
        facts["seconds"] = run.seconds
        with open("facts.json", "w") as out:
            json.dump(facts, out)
        run.show("measured")
        print()
    except Failure as failure:
        sys.exit(f"script/bench: {failure}")


if __name__ == "__main__":
    main()
