"""churn.py DIRECTORY BIN MINUTES LIVE_MB: the same changes to each contender, and what comes of it.

There are slots, each empty or with one value of the pool. A step picks a hundredth of them: an
empty one is filled, of the others three in ten are emptied and the rest get another value, which is
of another size. Every contender takes the step in one transaction, and every tenth step is rolled
back first and taken then. At times its size and its reads are measured. What is read is compared by
SHA-256 always, everything at the end.
"""

import csv
import os
import random
import sys
import time

import charts
from connection import Failure, Server
from contenders import CONTENDERS, missing
from sources import corpora

NAMES = ("toaststore tables", "toaststore by id", "native EXTERNAL", "native lz4")
POOL = 1000
SMALLEST, LARGEST = 500, 200_000
READS = 400
# A file so many times as large as its live bytes ends the run: nothing gives space back.
OUTGROWN = 12
# Steps between two measurements: about a twentieth of all values is replaced in that many.
EVERY = 5

# What becomes of slot k in step :step, the same for every contender. A hash is as good as a die.
PICK = """
TRUNCATE pick;
INSERT INTO pick
SELECT k, n, 1 + abs(hashint8extended(k, {step} + 1000000)) % {pool} AS new,
       CASE WHEN n IS NULL THEN 'put'
            WHEN abs(hashint8extended(k, {step} + 2000000)) % 10 < 3 THEN 'delete'
            ELSE 'update' END
FROM slot WHERE abs(hashint8extended(k, {step})) % 100 = 0;
ANALYZE pick"""

TABLE_STEP = """
DELETE FROM {table} t USING pick p WHERE t.id = p.k AND p.change = 'delete';
UPDATE {table} t SET value = s.value FROM pick p JOIN pool s ON s.n = p.new
WHERE t.id = p.k AND p.change = 'update';
INSERT INTO {table} (id, value) SELECT p.k, s.value FROM pick p JOIN pool s ON s.n = p.new
WHERE p.change = 'put'"""

# Whoever uses a store keeps its ids: in a table of the user's, here.
STORE_STEP = """
SELECT count(toaststore.delete('{table}', i.id)) FROM pick p JOIN store_id i USING (k)
WHERE p.change <> 'put';
DELETE FROM store_id i USING pick p WHERE i.k = p.k AND p.change = 'delete';
UPDATE store_id i SET id = toaststore.put('{table}', s.value)
FROM pick p JOIN pool s ON s.n = p.new WHERE i.k = p.k AND p.change = 'update';
INSERT INTO store_id SELECT p.k, toaststore.put('{table}', s.value)
FROM pick p JOIN pool s ON s.n = p.new WHERE p.change = 'put'"""

NEXT = ("UPDATE slot s SET n = CASE WHEN p.change <> 'delete' THEN p.new END FROM pick p "
        "WHERE s.k = p.k")


class Churn:
    def __init__(self, server, live_bytes):
        self.server = server
        self.session = server.session
        skipped = missing(self.session)
        for name, why in skipped.items():
            if name in NAMES:
                print(f"SKIPPED: {name}: {why}", file=sys.stderr, flush=True)
        self.contenders = {f"churn_{i}": c for i, name in enumerate(NAMES) for c in CONTENDERS
                           if c.name == name and name not in skipped}
        self.skipped = {name: why for name, why in skipped.items() if name in NAMES}
        self.samples = []
        self.outgrown = set()
        self.written = 0.0
        self.make_pool()
        self.fill(live_bytes)

    def make_pool(self):
        """Values of all sizes, most of them small; every other one compressible."""
        texts = corpora()
        die = random.Random(1)
        path = os.path.join(self.server.directory, "pool.csv")
        with open(path, "w") as out:
            for n in range(1, POOL + 1):
                size = int(SMALLEST * (LARGEST / SMALLEST) ** die.random())
                start = die.randrange(len(texts["text"]) - size)
                value = die.randbytes(size) if n % 2 else texts["text"][start:start + size]
                out.write(f"{n},\\x{value.hex()}\n")
        self.session.run(
            "CREATE UNLOGGED TABLE pool (n bigint PRIMARY KEY, value bytea, "
            "sha bytea GENERATED ALWAYS AS (sha256(value)) STORED, "
            "bytes int GENERATED ALWAYS AS (length(value)) STORED); "
            "ALTER TABLE pool ALTER value SET STORAGE EXTERNAL; "
            f"\n\\copy pool (n, value) FROM '{path}' (FORMAT csv)\n; VACUUM ANALYZE pool; "
            "CREATE UNLOGGED TABLE slot (k bigint PRIMARY KEY, n bigint); "
            "CREATE UNLOGGED TABLE store_id (k bigint PRIMARY KEY, id bigint); "
            "CREATE UNLOGGED TABLE pick (k bigint PRIMARY KEY, n bigint, new bigint, change text)")

    def fill(self, live_bytes):
        """The first values: three quarters of the slots, as many as will always be taken."""
        average = self.session.number("SELECT avg(bytes) FROM pool")
        slots = int(live_bytes / average / 0.77)
        self.session.run(
            f"INSERT INTO slot SELECT k, NULL FROM generate_series(1, {slots}) AS k; "
            "TRUNCATE pick; INSERT INTO pick "
            f"SELECT k, NULL, 1 + abs(hashint8extended(k, 1)) % {POOL}, 'put' "
            "FROM slot WHERE abs(hashint8extended(k, 2)) % 100 < 77; ANALYZE pick")
        for table, contender in self.contenders.items():
            self.session.run(contender.setup.format(table=table))
            self.change(table, contender)
        self.session.run(f"{NEXT}; ANALYZE slot")

    def change(self, table, contender, end="COMMIT"):
        step = STORE_STEP if contender.method == "toaststore_values" else TABLE_STEP
        started = time.perf_counter()
        self.session.run(f"BEGIN; {step.format(table=table)}; {end}")
        return time.perf_counter() - started

    def step(self, number):
        """Returns each contender's seconds."""
        self.session.run(PICK.format(step=number, pool=POOL))
        seconds = {}
        turns = list(self.contenders.items())
        for table, contender in turns if number % 2 else reversed(turns):
            if number % 10 == 0:
                self.change(table, contender, "ROLLBACK")
            seconds[table] = self.change(table, contender)
        self.written += self.session.number(
            "SELECT sum(s.bytes) FROM pick p JOIN pool s ON s.n = p.new WHERE p.change <> 'delete'")
        self.session.run(NEXT)
        return seconds

    def got(self, table, contender):
        """What the contender has in slot k, as an expression over k.id."""
        keys = "slot" if contender.method != "toaststore_values" else "store_id"
        key = "k AS id" if keys == "slot" else "id"
        lookup = contender.get.format(table=table)
        return (f"(SELECT {lookup} FROM (SELECT {key} FROM {keys} WHERE k = w.k OFFSET 0) AS k)")

    def compare(self, table, contender, which):
        different = self.session.number(
            f"SELECT count(*) FROM {which} AS w LEFT JOIN pool s ON s.n = w.n "
            f"WHERE sha256({self.got(table, contender)}) IS DISTINCT FROM s.sha")
        if different:
            raise Failure(f"{contender.name}: {different:.0f} values differ from what was stored")

    def sample(self, step, seconds):
        live = self.session.number("SELECT sum(s.bytes) FROM slot JOIN pool s USING (n)")
        which = (f"(SELECT k, n FROM slot WHERE n IS NOT NULL ORDER BY hashint8extended(k, {step}) "
                 f"LIMIT {READS})")
        for table, contender in self.contenders.items():
            read = (f"SELECT sum(get_byte({self.got(table, contender)}, 0)) FROM {which} AS w")
            # The first time brings to memory what has been pushed out meanwhile.
            self.session.run(read)
            took, _ = self.session.timed(read)
            self.compare(table, contender, which)
            disk = self.session.number(f"SELECT pg_total_relation_size('{table}')")
            if disk > OUTGROWN * live:
                self.outgrown.add(contender.name)
            self.samples.append({
                "turnover": self.written / live, "contender": contender.name, "live": live,
                "disk": disk, "read_us": 1e6 * took / READS,
                "change_ms": 1e3 * seconds.get(table, 0)})

    def run(self, minutes):
        end = time.monotonic() + 60 * minutes
        step = 0
        self.sample(0, {})
        while time.monotonic() < end and not self.outgrown:
            totals = dict.fromkeys(self.contenders, 0.0)
            for _ in range(EVERY):
                step += 1
                for table, took in self.step(step).items():
                    totals[table] += took / EVERY
            self.sample(step, totals)
            if step % (EVERY * 20) == 0:
                print(f"{time.strftime('%H:%M:%S')} step {step}, "
                      f"{self.samples[-1]['turnover']:.1f} times all bytes written", flush=True)
        for table, contender in self.contenders.items():
            self.compare(table, contender, "slot")
            if contender.method == "toaststore_values":
                faults = self.session.run(f"SELECT * FROM toaststore.verify('{table}')")
                if faults:
                    raise Failure(f"{contender.name}: verify: {faults[:5]}")
        return step


def report(churn, step, seconds, directory):
    os.makedirs(directory)
    with open(os.path.join(directory, "samples.csv"), "w", newline="") as out:
        lines = csv.DictWriter(out, churn.samples[0].keys())
        lines.writeheader()
        lines.writerows(churn.samples)
    names = [c.name for c in churn.contenders.values()]

    def series(metric, scale=1.0):
        return {name: [(s["turnover"], s[metric] / scale) for s in churn.samples
                       if s["contender"] == name] for name in names}

    live = [(s["turnover"], s["live"] / 1e6) for s in churn.samples if s["contender"] == names[0]]
    words = "how often all live bytes have been written anew"
    plots = {
        "size": charts.lines("Size of the files under churn", ["MB; live bytes are uncompressed"],
                             words, {**series("disk", 1e6), "live bytes": live}),
        "read": charts.lines("A random read under churn", ["Microseconds, cached"], words,
                             series("read_us")),
        "change": charts.lines("A step of the churn", ["Milliseconds, to change a hundredth"],
                               words, series("change_ms")),
    }
    with open(os.path.join(directory, "report.md"), "w") as out:
        last = churn.samples[-1]
        out.write(f"# Churn\n\n{seconds / 60:.1f} minutes, {step} steps: all live bytes "
                  f"({last['live'] / 1e6:.0f} MB) were written anew {last['turnover']:.1f} times. "
                  "All contents compared by SHA-256.\n\n")
        for name, why in churn.skipped.items():
            out.write(f"**Not measured: {name}**: {why}\n\n")
        for name in churn.outgrown:
            out.write(f"**Ended early: {name}** had more than {OUTGROWN} times its live bytes.\n\n")
        out.write("| | size at first | size at the end | per live byte | read at first | "
                  "read at the end |\n|---|---:|---:|---:|---:|---:|\n")
        for name in names:
            own = [s for s in churn.samples if s["contender"] == name]
            part = max(1, len(own) // 10)

            def middle(samples, metric):
                return sorted(s[metric] for s in samples)[len(samples) // 2]

            out.write(f"| {name} | {own[0]['disk'] / 1e6:.0f} MB | "
                      f"{own[-1]['disk'] / 1e6:.0f} MB | "
                      f"{own[-1]['disk'] / own[-1]['live']:.2f} | "
                      f"{middle(own[:part], 'read_us'):.1f} us | "
                      f"{middle(own[-part:], 'read_us'):.1f} us |\n")
        out.write("\n")
        for name, svg in plots.items():
            with open(os.path.join(directory, f"{name}.svg"), "w") as picture:
                picture.write(svg)
            out.write(f"![{name}]({name}.svg)\n\n")


def main():
    directory, binaries, minutes, live_mb = sys.argv[1:]
    try:
        churn = Churn(Server(directory, binaries), float(live_mb) * 1e6)
        started = time.monotonic()
        step = churn.run(float(minutes))
        report(churn, step, time.monotonic() - started, os.path.join(directory, "report"))
    except Failure as failure:
        sys.exit(f"bench/churn: {failure}")


if __name__ == "__main__":
    main()
