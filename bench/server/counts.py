"""Many small values: is it as fast at 10^7 of them as at 10^4, and when ids come round?"""

from subject import Subject

VALUE_BYTES = 2100  # native TOAST leaves less than about 2032 bytes in the row


class Counts:
    OPERATIONS = ("counts", "wrap")

    def __init__(self, server, results, contenders, plan):
        self.server = server
        self.results = results
        self.contenders = [c for c in contenders if c.name in plan.count_contenders]
        self.plan = plan

    def grow(self, subject, first, last):
        """Stores values number first to last, those of the source over and over, and returns the
        seconds. The source lies in its rows, so that reading it costs next to nothing."""
        seconds = 0.0
        count = subject.cell.count
        for turn in range((first - 1) // count, (last - 1) // count + 1):
            before = turn * count
            part = (f"(SELECT n + {before} AS n, value FROM {subject.cell.table} "
                    f"WHERE n BETWEEN {first - before} AND {last - before} ORDER BY n) AS part")
            took, _ = subject.session.timed(subject.sql(subject.contender.insert).replace(
                f"FROM {subject.cell.table}", f"FROM {part}"))
            seconds += took
        return seconds

    def run_counts(self, cell):
        """Each contender by itself, for the largest table takes most of the disk."""
        for contender in self.contenders:
            subject = Subject(self.server, contender, cell)
            subject.make()
            reached = 0
            for total in self.plan.value_counts:
                subject.session.run("CHECKPOINT")
                seconds = self.grow(subject, reached + 1, total)
                figures = {"us": 1e6 * seconds / (total - reached)}
                reached = total
                subject.session.run("CHECKPOINT")
                self.results.add("counts", cell.data, total, contender.name, 1, **figures,
                                 disk=subject.disk() / total / VALUE_BYTES,
                                 **self.read_some(subject, total))
            subject.drop()

    def read_some(self, subject, total):
        """Some of them, all over the table, for the first time and again."""
        session = subject.session
        session.run(
            "CREATE UNLOGGED TABLE IF NOT EXISTS key (n bigint PRIMARY KEY, id bigint); "
            f"TRUNCATE key; INSERT INTO key SELECT DISTINCT n, n FROM (SELECT 1 + "
            f"(i * 7919 + i * i * 104729) % {total} AS n FROM generate_series(1, "
            f"{self.plan.count_reads}::bigint) AS i) AS places; ANALYZE key")
        count = session.number("SELECT count(*) FROM key")
        get = subject.sql(subject.contender.get)
        read = f"SELECT sum(get_byte({get}, 0)) FROM key k"
        first, _ = session.timed(read)
        again, _ = session.timed(read)
        different = session.number(
            f"SELECT count(*) FROM key k JOIN {subject.cell.table} s "
            f"ON s.n = (k.n - 1) % {subject.cell.count} + 1 "
            f"WHERE sha256({get}) IS DISTINCT FROM s.sha")
        if different:
            subject.fail(f"{different:.0f} values differ from what was stored")
        return {"read_first": 1e6 * first / count, "read_again": 1e6 * again / count}

    def run_wrap(self, cell):
        """The first put after the counter of ids has come round to ids that are all taken."""
        for contender in self.contenders:
            subject = Subject(self.server, contender, cell)
            subject.make()
            self.grow(subject, 1, self.plan.wrap_values)
            figures = {"before": self.put_one(subject, self.plan.wrap_values + 1)}
            # A counter of the cluster's, from which native TOAST takes its ids, can be set back.
            if contender.method == "heap":
                toast = subject.session.value("SELECT reltoastrelid::regclass FROM pg_class "
                                              f"WHERE oid = '{subject.table}'::regclass")
                first = int(subject.session.number(f"SELECT min(chunk_id) FROM {toast}"))
                self.server.reset_next_oid(first)
                # Code and catalogs are in memory again; takes the first of the taken ids.
                warmer = Subject(self.server, contender, self.plan.warm_cell, "warm")
                warmer.make()
                subject.session.run(warmer.sql(contender.insert))
                warmer.drop()
                figures["us"] = self.put_one(subject, self.plan.wrap_values + 2)
            self.results.add("wrap", cell.data, self.plan.wrap_values, contender.name, 1, **figures)
            subject.drop()

    def put_one(self, subject, number):
        """Microseconds of one put, its commit included."""
        return 1e6 * self.grow(subject, number, number)
