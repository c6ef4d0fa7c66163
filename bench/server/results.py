"""What was measured, as lines of a CSV file that is complete at any time.

A line is one figure of one round: us (a value or transaction), wal and disk (bytes for each byte of
value), wal_value (bytes for each value), and what single operations have beside. Round 0 warms up
and is not written.
"""

import csv
from collections import defaultdict

FIELDS = ("operation", "data", "bytes", "contender", "round", "metric", "value")


class Results:
    def __init__(self, path, chosen):
        self.out = open(path, "w", newline="")
        self.csv = csv.writer(self.out)
        self.csv.writerow(FIELDS)
        self.chosen = chosen

    def add(self, operation, data, size, contender, round_number, **figures):
        if round_number == 0 or operation.split()[0] not in self.chosen:
            return
        for metric, value in figures.items():
            self.csv.writerow((operation, data, size, contender, round_number, metric,
                               f"{value:.6g}"))
        self.out.flush()


def read(path):
    """{operation: {(data, bytes): {contender: {metric: [figures]}}}}"""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            cell = (row["data"], int(row["bytes"]))
            metrics = found[row["operation"]][cell][row["contender"]]
            metrics[row["metric"]].append(float(row["value"]))
    return found
