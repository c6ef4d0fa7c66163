"""The values that are stored: random bytes, and text and JSON made from files of the machine.

A cell is one kind of bytes in one size. Its values lie in a file for COPY and in an unlogged table
(n, value, sha), uncompressed and out of line, so that every contender pays the same for reading
them. They are the same on every run on the same machine.
"""

import gzip
import json
import os
import random
import struct
import time
from dataclasses import dataclass

from connection import Failure

SIZES = {2500: "2.5 kB", 8000: "8 kB", 65536: "64 kB", 1048576: "1 MB", 16777216: "16 MB"}
TREES = ("/usr/share/doc", "/usr/include")
CORPUS_BYTES = 40 << 20
# Windows of a corpus begin all over it: a prime step comes back to the same place late.
STEP = 4_099_691


@dataclass(frozen=True)
class Cell:
    data: str
    bytes: int
    count: int
    table: str
    file: str

    @property
    def label(self):
        return f"{self.data}, {SIZES.get(self.bytes, self.bytes)}"


def files():
    """Paths and contents of the machine's readable documents and headers, the trees in turn."""
    walks = [walk(tree) for tree in TREES]
    while walks:
        for each in list(walks):
            found = next(each, None)
            if found is None:
                walks.remove(each)
            else:
                yield found


def walk(tree):
    for directory, subdirectories, names in os.walk(tree):
        subdirectories.sort()
        for name in sorted(names):
            path = os.path.join(directory, name)
            if os.path.islink(path):
                continue
            try:
                with (gzip.open if name.endswith(".gz") else open)(path, "rb") as content:
                    text = content.read(1 << 20).decode("utf-8")
            except (OSError, EOFError, UnicodeDecodeError):
                continue
            if text:
                yield path, text


def describe(path, text):
    """A file as a record, as a crawler or an asset register would keep it."""
    state = os.stat(path)
    lines = text.splitlines()
    return json.dumps({
        "path": path, "bytes": state.st_size, "mode": oct(state.st_mode), "owner": state.st_uid,
        "modified": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state.st_mtime)),
        "lines": len(lines), "characters": len(text),
        "sections": [{"line": number, "indent": len(line) - len(line.lstrip()),
                      "text": line.strip()}
                     for number, line in enumerate(lines[:200], 1) if line.strip()]}) + "\n"


def corpora():
    """{kind: bytes} of the compressible kinds, each as long as CORPUS_BYTES."""
    parts = {"text": [], "json": []}
    lengths = dict.fromkeys(parts, 0)
    for path, text in files():
        for kind, made in (("text", text), ("json", describe(path, text))):
            if lengths[kind] < CORPUS_BYTES:
                parts[kind].append(made.encode())
                lengths[kind] += len(parts[kind][-1])
        if min(lengths.values()) >= CORPUS_BYTES:
            break
    if not all(lengths.values()):
        raise Failure(f"no text to make values from in {' or '.join(TREES)}")
    whole = {kind: b"".join(part) for kind, part in parts.items()}
    return {kind: (text * (CORPUS_BYTES // len(text) + 1))[:CORPUS_BYTES]
            for kind, text in whole.items()}


def values(data, size, count, texts):
    for n in range(1, count + 1):
        if data == "random":
            yield random.Random(f"{size}/{n}").randbytes(size)
        else:
            start = n * STEP % (CORPUS_BYTES - size)
            yield texts[data][start:start + size]


def prepare(server, data, size, count, texts, table=None):
    """Makes a cell: its file and its table."""
    table = table or f"source_{data}_{size}"
    path = os.path.join(server.directory, f"{table}.copy")
    with open(path, "wb") as out:
        out.write(b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0))
        for n, value in enumerate(values(data, size, count, texts), 1):
            out.write(struct.pack("!hiqi", 2, 8, n, len(value)) + value)
        out.write(struct.pack("!h", -1))
    server.session.run(
        f"CREATE UNLOGGED TABLE {table} (n bigint PRIMARY KEY, value bytea, "
        "sha bytea GENERATED ALWAYS AS (sha256(value)) STORED); "
        f"ALTER TABLE {table} ALTER value SET STORAGE EXTERNAL; "
        f"\n\\copy {table} (n, value) FROM '{path}' (FORMAT binary)\n"
        f"CREATE INDEX ON {table} (sha); VACUUM ANALYZE {table}")
    return Cell(data, size, count, table, path)
