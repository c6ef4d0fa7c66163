"""Bulk insert and COPY, reads and slices, update, delete: all contenders in turn on each cell."""

from subject import Subject

SLICE_BYTES = 1000


class Storage:
    """One round after another of a list of cells."""

    OPERATIONS = ("insert", "copy", "read", "cold", "slice", "update", "delete")

    def __init__(self, server, results, contenders, plan):
        self.server = server
        self.results = results
        self.contenders = contenders
        self.plan = plan
        self.wanted = set(self.OPERATIONS) & results.chosen

    def run_cell(self, round_number, cell):
        self.round = round_number
        self.cell = cell
        self.source()
        turns = [c for c in self.contenders if cell.data in c.data]
        if round_number % 2:
            turns.reverse()
        if self.wanted - {"copy", "cold"}:
            for contender in turns:
                self.life(Subject(self.server, contender, cell))
        if self.wanted & {"copy", "cold"}:
            self.copied([Subject(self.server, contender, cell, f"subject_{i}")
                         for i, contender in enumerate(turns)
                         if contender.copy or "cold" in self.wanted])

    def source(self):
        """Reads the source: into the cache, and because every insert pays for it."""
        query = f"SELECT sum(get_byte(value, 0)) FROM {self.cell.table}"
        self.server.session.run(query)
        seconds, _ = self.server.session.timed(query)
        self.results.add("insert", self.cell.data, self.cell.bytes, "(reading the source)",
                         self.round, us=1e6 * seconds / self.cell.count)

    def note(self, subject, operation, touched, measured, **more):
        seconds, wal = measured
        self.results.add(
            operation, self.cell.data, self.cell.bytes, subject.contender.name, self.round,
            us=1e6 * seconds / touched, **more,
            **({} if operation in ("read", "cold", "slice") else {
                "wal": wal / touched / self.cell.bytes, "wal_value": wal / touched,
                "disk": subject.disk() / touched / self.cell.bytes}))

    def life(self, subject):
        """Insert, read, slice, update and delete of one contender, each compared."""
        cell, session, sql = self.cell, self.server.session, subject.sql
        contender = subject.contender
        subject.make()
        session.run("CHECKPOINT")
        self.note(subject, "insert", cell.count, session.timed(sql(contender.insert)))
        subject.compare_values()  # and all of it is in the cache now

        if "read" in self.wanted:
            self.read_cached(subject)
        if "slice" in self.wanted:
            self.slice_cached(subject)
        if "update" in self.wanted:
            session.run("CHECKPOINT")
            self.note(subject, "update", cell.count, session.timed(sql(contender.update)))
            subject.compare_values(updated=True)
        if "delete" in self.wanted:
            session.run(sql(contender.vacuum))  # what the updates left is not the deletes' cost
            session.run("CHECKPOINT")
            self.note(subject, "delete", cell.count,
                      session.timed(sql(f"{contender.delete}; {contender.vacuum}")))
            left = session.number(f"SELECT count(*) FROM {subject.table}")
            if left:
                subject.fail(f"{left:.0f} values are left after all were deleted")
        subject.drop()

    def read_cached(self, subject):
        passes = self.plan.read_passes
        get = subject.sql(subject.contender.get)
        self.note(subject, "read", passes * self.cell.count, self.server.session.timed(
            f"SELECT sum(get_byte({get}, 0)) FROM generate_series(1, {passes}) AS pass, key k"))
        subject.compare(get)

    def slice_cached(self, subject):
        """Slices at offsets all over each value, the same for every contender."""
        cell = self.cell
        # Enough of them to be measured, few enough where each decompresses megabytes.
        passes = -(-min(max(self.plan.slice_bytes // cell.bytes, self.plan.slices_least),
                        self.plan.slices_most) // cell.count)
        offset = f"((k.n * 7919 + pass * 104729) % {cell.bytes - SLICE_BYTES})::int"
        cut = subject.sql(subject.contender.slice, offset=offset, length=SLICE_BYTES)
        self.note(subject, "slice", passes * cell.count, self.server.session.timed(
            f"SELECT sum(get_byte({cut}, 0)) FROM generate_series(1, {passes}) AS pass, key k"))
        subject.compare(cut.replace("pass", "1"),
                        f"sha256(substr(s.value, {offset.replace('pass', '1')} + 1, "
                        f"{SLICE_BYTES}))")

    def copied(self, subjects):
        """COPY from a client; then all tables are read once, with nothing in shared buffers."""
        for subject in subjects:
            self.fill(subject)
        if "cold" in self.wanted:
            self.read_cold(subjects)
        for subject in subjects:
            subject.drop()

    def fill(self, subject):
        cell, session, contender = self.cell, self.server.session, subject.contender
        # The large objects' own tables go on being used.
        if contender.copy:
            subject.make()
            session.run("CHECKPOINT")
            self.note(subject, "copy", cell.count, session.timed(
                f"\n\\copy {subject.table} {contender.copy} FROM '{cell.file}' (FORMAT binary)\n"))
        else:
            subject.make()
            session.run(subject.sql(contender.insert))
        subject.compare_values()

    def read_cold(self, subjects):
        """The values are in the system's page cache: a restart empties shared buffers, and filling
        them with something else then touches their memory, which costs more the first time. Code
        and catalogs are warmed up on another table of the same contender."""
        warmers = [Subject(self.server, subject.contender, self.plan.warm_cell,
                           f"{subject.table}_warm") for subject in subjects]
        for warmer in warmers:
            warmer.make()
            self.server.session.run(warmer.sql(warmer.contender.insert))
        self.server.session.run("CHECKPOINT")
        self.server.restart()
        session = self.server.session
        session.run("SELECT pg_prewarm('junk')")
        # Every contender's ids are those of the source here.
        read = "SELECT sum(get_byte({get}, 0)) FROM key k WHERE n <= {values}"
        for subject, warmer in zip(subjects, warmers):
            session.run(read.format(get=warmer.sql(warmer.contender.get), values=1))
            get = subject.sql(subject.contender.get)
            self.note(subject, "cold", self.cell.count,
                      session.timed(read.format(get=get, values=self.cell.count)))
            subject.compare(get)
            warmer.drop()
