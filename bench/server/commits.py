"""One value a transaction by pgbench, and small commits beside a large writer."""

import glob
import os
import time

from connection import finish
from contenders import reference
from subject import Subject

ONE = "\\set n random(1, :count)\n{statement};\n"
TICK = "INSERT INTO tick (note) VALUES ('a small row, as sessions and queues write them');\n"


class Commits:
    OPERATIONS = ("commit", "latency")

    def __init__(self, server, results, contenders, plan):
        self.server = server
        self.results = results
        self.contenders = contenders
        self.plan = plan

    def script(self, subject):
        return ONE.format(statement=subject.sql(subject.contender.insert_one))

    def run_commits(self, round_number, cell):
        """With 1 and with 4 clients, and with synchronous_commit on and off."""
        names = (reference(cell.data), *self.plan.commit_beside)
        turns = [c for c in self.contenders if c.name in names]
        if round_number % 2:
            turns.reverse()
        for synchronous in ("on", "off"):
            for clients in (1, 4):
                for contender in turns:
                    subject = Subject(self.server, contender, cell)
                    subject.make()
                    subject.session.run("CHECKPOINT")
                    count, rate = finish(self.server.pgbench(
                        self.script(subject), self.plan.commit_seconds, clients,
                        f"-c synchronous_commit={synchronous}", {"count": cell.count}))
                    plural = "" if clients == 1 else "s"
                    self.results.add(
                        f"commit {clients} client{plural}, sync {synchronous}", cell.data,
                        cell.bytes, contender.name, round_number, us=1e6 / rate)
                    subject.compare_members(count)
                    subject.drop()

    def run_latency(self, round_number, cell):
        """How long single small commits take while another session stores large values, one a
        transaction, as fast as it can."""
        turns = [None] + [c for c in self.contenders
                          if cell.data in c.data and c.name in self.plan.latency_contenders]
        if round_number % 2:
            turns.reverse()
        for contender in turns:
            self.server.session.run(
                "DROP TABLE IF EXISTS tick; CREATE TABLE tick (id bigint GENERATED ALWAYS AS "
                "IDENTITY PRIMARY KEY, note text); CHECKPOINT")
            if contender is None:
                figures = self.small_commits(self.plan.latency_seconds)
                self.results.add("latency", cell.data, cell.bytes, "(no writer)", round_number,
                                 **figures)
                continue
            subject = Subject(self.server, contender, cell)
            subject.make()
            # The writer is there before the first small commit and after the last.
            writer = self.server.pgbench(self.script(subject), self.plan.latency_seconds + 2,
                                         variables={"count": cell.count})
            time.sleep(1)
            figures = self.small_commits(self.plan.latency_seconds)
            count, rate = finish(writer)
            self.results.add("latency", cell.data, cell.bytes, contender.name, round_number,
                             writer=rate * cell.bytes / 1e6, **figures)
            subject.compare_members(count)
            subject.drop()

    def small_commits(self, seconds):
        """Percentiles of one client's transactions, in us."""
        prefix = os.path.join(self.server.directory, "tick")
        for old in glob.glob(prefix + ".*"):
            os.remove(old)
        finish(self.server.pgbench(TICK, seconds, log_prefix=prefix))
        times = []
        for path in glob.glob(prefix + ".*"):
            with open(path) as lines:
                times += [int(line.split()[2]) for line in lines]
        times.sort()
        return {"us": times[len(times) // 2], "p99": times[len(times) * 99 // 100],
                "most": times[-1]}
