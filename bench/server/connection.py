"""The throw-away server: sessions in it, restarts of it, pgbench beside it.

The benchmark runs as the server's user in the directory that holds `data` and the socket.
"""

import os
import re
import subprocess
import time


class Failure(Exception):
    """What ends the benchmark with a message."""


class Session:
    """One psql: statements go in, lines come out, and the first error ends everything."""

    MARK = "--- done ---"

    def __init__(self, server):
        self.errors = open(os.path.join(server.directory, "psql.log"), "w+")
        self.psql = subprocess.Popen(
            ["psql", *server.where, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
             "--set=ON_ERROR_STOP=1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.run("SET client_min_messages = warning; SET search_path = bench, public")

    def run(self, statements):
        """Runs them, each in a transaction of its own, and returns the lines they print."""
        try:
            self.psql.stdin.write(f"{statements}\n;\n\\echo {self.MARK}\n")
            self.psql.stdin.flush()
        except BrokenPipeError:
            pass
        lines = []
        for line in self.psql.stdout:
            if line.rstrip("\n") == self.MARK:
                return lines
            lines.append(line.rstrip("\n"))
        self.errors.seek(0)
        raise Failure(f"{self.errors.read().strip()}\nin: {statements}")

    def value(self, query):
        lines = self.run(query)
        return lines[0] if lines else ""

    def number(self, query):
        return float(self.value(query) or 0)

    def timed(self, statements):
        """Their seconds, commit included, and the bytes of log they wrote."""
        position = "SELECT pg_current_wal_insert_lsn() - '0/0'"
        before = self.number(position)
        started = time.perf_counter()
        self.run(statements)
        seconds = time.perf_counter() - started
        return seconds, self.number(position) - before

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()
        self.errors.close()


class Server:
    def __init__(self, directory, bin_directory):
        self.directory = directory
        self.bin = bin_directory
        self.where = [f"--host={directory}", "--username=postgres", "--dbname=postgres"]
        self.data = os.path.join(directory, "data")
        self.session = Session(self)

    def pg_ctl(self, *arguments):
        """Not by a pipe: the server would inherit it and keep it open."""
        log = os.path.join(self.directory, "pg_ctl.log")
        with open(log, "w") as out:
            done = subprocess.run(
                [f"{self.bin}/pg_ctl", f"--pgdata={self.data}", "--silent", "--wait",
                 "--timeout=600", *arguments], stdout=out, stderr=out, check=False)
        if done.returncode:
            with open(log) as text:
                raise Failure(f"pg_ctl {arguments[0]} failed: {text.read()}")

    def restart(self, between=None):
        """Stops and starts the server; `between` runs while it is down."""
        self.session.close()
        self.pg_ctl("stop", "--mode=fast")
        if between:
            between()
        self.pg_ctl("start", f"--log={self.directory}/server.log")
        self.session = Session(self)

    def reset_next_oid(self, oid):
        """Moves the cluster's counter of object ids, as it moves by itself after four billion."""
        self.restart(lambda: subprocess.run(
            [f"{self.bin}/pg_resetwal", "-o", str(oid), self.data], check=True,
            stdout=subprocess.DEVNULL))

    def pgbench(self, script, seconds, clients=1, options="", variables=None, log_prefix=None):
        """Starts pgbench on one script; finish() waits for it."""
        path = os.path.join(self.directory, f"pgbench.{abs(hash(script))}.sql")
        with open(path, "w") as out:
            out.write(script)
        command = [f"{self.bin}/pgbench", f"--host={self.directory}", "--username=postgres",
                   "--no-vacuum", "--protocol=prepared", f"--client={clients}",
                   f"--jobs={min(clients, os.cpu_count())}", f"--time={seconds}",
                   "--random-seed=7", f"--file={path}"]
        command += [f"--define={name}={value}" for name, value in (variables or {}).items()]
        if log_prefix:
            command += ["--log", f"--log-prefix={log_prefix}"]
        environment = dict(os.environ, PGOPTIONS=f"-c search_path=bench,public {options}")
        return subprocess.Popen([*command, "postgres"], env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(pgbench):
    """What a pgbench did: how many transactions, and how many a second."""
    out, errors = pgbench.communicate()
    done = re.search(r"transactions actually processed: (\d+)", out)
    rate = re.search(r"tps = ([0-9.]+)", out)
    if pgbench.returncode or not done or not rate:
        raise Failure(f"pgbench failed: {errors or out}")
    return int(done.group(1)), float(rate.group(1))
