"""A table of one contender under measurement, and its contents beside the source's."""

from connection import Failure


class Subject:
    def __init__(self, server, contender, cell, table="subject"):
        self.server = server
        self.contender = contender
        self.cell = cell
        self.table = table

    @property
    def session(self):
        return self.server.session

    def sql(self, template, **more):
        return template.format(table=self.table, source=self.cell.table, count=self.cell.count,
                               **more)

    def fail(self, what):
        raise Failure(f"{self.contender.name}, {self.cell.label}: {what}")

    def make(self):
        """Makes it; a benchmark of the wrong thing is worse than none."""
        self.session.run(self.sql(self.contender.setup))
        found = self.session.value(
            "SELECT concat_ws(' ', a.amname, b.amname) "
            "FROM pg_class t JOIN pg_am a ON a.oid = t.relam "
            "LEFT JOIN pg_class p ON p.oid = t.reltoastrelid LEFT JOIN pg_am b ON b.oid = p.relam "
            f"WHERE t.oid = '{self.table}'::regclass")
        wanted = f"{self.contender.method} {self.contender.toast_method}".strip()
        if found != wanted:
            self.fail(f"the access method is {found}, not {wanted}")

    def drop(self):
        self.session.run(self.sql(self.contender.drop))

    def disk(self):
        return self.session.number("SELECT " + self.sql(self.contender.size))

    def list_keys(self):
        """Notes where the values are. Ids grow in the order in which values came."""
        self.session.run(
            "CREATE UNLOGGED TABLE IF NOT EXISTS key (n bigint PRIMARY KEY, id bigint); "
            "TRUNCATE key; INSERT INTO key SELECT row_number() OVER (ORDER BY id), id "
            f"FROM {self.table}; ANALYZE key")

    def compare(self, got, expected="sha", place="k.n"):
        """Every value, or what is got of it, has the SHA-256 of the source's, and there are no
        more. `place` is the number in the source of what key k leads to."""
        different = self.session.number(
            f"SELECT count(*) FROM key k FULL JOIN {self.cell.table} s ON s.n = {place} "
            f"WHERE sha256({got}) IS DISTINCT FROM {expected}")
        if different:
            self.fail(f"{different:.0f} values differ from what was stored")

    def compare_values(self, updated=False):
        self.list_keys()
        place = f"k.n % {self.cell.count} + 1" if updated else "k.n"
        self.compare(self.sql(self.contender.get), place=place)

    def compare_members(self, count):
        """There are so many values, each of them one of the source's."""
        self.list_keys()
        found = self.session.number("SELECT count(*) FROM key")
        if found != count:
            self.fail(f"{found:.0f} values are there, {count} were stored")
        # lo_get is volatile: where it stands in a join it is called for each pair of rows.
        foreign = self.session.number(
            f"WITH got AS MATERIALIZED (SELECT sha256({self.sql(self.contender.get)}) AS sha "
            f"FROM key k) SELECT count(*) FROM got WHERE NOT EXISTS (SELECT FROM {self.cell.table} "
            "s WHERE s.sha = got.sha)")
        if foreign:
            self.fail(f"{foreign:.0f} values were never stored")
