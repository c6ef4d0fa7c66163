"""What toaststore is to reach on two cores, beside native TOAST."""

from dataclasses import dataclass

from contenders import COMPRESSIBLE, EVERYTHING, RANDOM
from sources import SIZES


@dataclass(frozen=True)
class Target:
    words: str
    operation: str
    sizes: dict
    metric: str = "us"
    data: tuple = EVERYTHING
    least: bool = True  # a ratio of at least so much; or a figure of at most


def at(*targets):
    """The last ones are those of the largest sizes."""
    return dict(zip(list(SIZES)[-len(targets):], targets))


TARGETS = (
    Target("bulk insert", "insert", at(2, 2, 2.5, 3, 3)),
    Target("one value a transaction, 4 clients, sync on", "commit 4 clients, sync on",
           at(1, 1, 1.5, 2.5, 2.5)),
    Target("full read, cached", "read", at(1.5, 2, 2, 2.2, 2)),
    Target("full read, page cache only", "cold", at(1.2, 1.3, 2, 2.5, 2.5)),
    Target("1 kB slice, compressed", "slice", at(3, 10, 150), data=COMPRESSIBLE),
    Target("update", "update", at(1.5, 2, 3, 3.5, 3.5)),
    Target("delete + vacuum", "delete", at(2, 2, 10, 50, 100)),
    Target("the same, log", "delete", at(10, 50, 100), "wal"),
    Target("the same, log, B a value", "delete", dict(zip(SIZES, (300, 300))), "wal_value",
           least=False),
    Target("log of a bulk insert, B a byte", "insert", at(1.10, 1.05, 1.015, 1.015, 1.015), "wal",
           RANDOM, least=False),
    Target("disk, B a byte", "insert", at(1.08, 1.04, 1.02, 1.02, 1.02), "disk", RANDOM,
           least=False),
)
