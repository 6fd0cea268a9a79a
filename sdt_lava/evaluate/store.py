"""Store results durably in an SQLite database, with one transaction per shard."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from sdt_lava.errors import SdtLavaError
from sdt_lava.evaluate.identity import check_same
from sdt_lava.evaluate.sample import OPERATIONS, SampleResult
from sdt_lava.io.files import OutputError, check_regular
from sdt_lava.io.limits import limits, remedy

# Time that a writer waits for another process to unlock the database [s].
_LOCK_TIMEOUT = 10.0


# Suffixes of the files that SQLite keeps beside a database.
_SUFFIXES = ("-wal", "-shm", "-journal")
_TABLES = {
    "identity": "CREATE TABLE identity (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "samples": "CREATE TABLE samples (sample INTEGER PRIMARY KEY, label INTEGER, "
    "predicted INTEGER, rank INTEGER, error TEXT, "
    + ", ".join(f"{name} INTEGER" for name in OPERATIONS)
    + ")",
}


def _natural(name: str, most: int) -> str:
    return f"typeof({name}) = 'integer' AND {name} BETWEEN 0 AND {most}"


# Labels and ranks are limited because they index tables; counts are summed as unbounded integers.
_LABELS = " AND ".join(f"({name} IS NULL OR {_natural(name, 2**20)})" for name in ("label", "rank"))
_COUNTS = " AND ".join(_natural(name, 2**63 - 1) for name in ("sample", *OPERATIONS))
_LEGAL_ROW = (
    f"{_natural('sample', 2**63 - 1)} AND (CASE WHEN error IS NULL "
    f"THEN {_LABELS} AND {_natural('predicted', 2**20)} AND {_COUNTS} "
    "ELSE typeof(error) = 'text' END)"
)


class StoreError(SdtLavaError):
    """A results database that is damaged or is not one."""


class ResultStore:
    """Results of an evaluation, by sample.

    A shard is stored completely or not at all, even if the process or the machine crashes.

    Parameters
    ----------
    path : Path
        The database file; its write-ahead log and shared memory are stored beside it.
    identity : mapping of str to str
        Identity of the evaluation.
    resume : bool
        Whether to continue an existing database.

    Raises
    ------
    ConfigError
        If the database belongs to another evaluation.
    OutputError
        If the database exists and `resume` is not set, or it cannot be opened.
    StoreError
        If the database is damaged or too large.
    """

    def __init__(self, path: Path, identity: Mapping[str, str], *, resume: bool) -> None:
        self.path = path
        if not resume and os.path.lexists(path):
            raise OutputError(
                str(path),
                "results of an earlier evaluation",
                "a folder without results",
                "add --resume to continue it, or choose another --out",
            )
        with self._guarded():
            self._check_files()
            self._connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None)
        try:
            self._open(identity)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, identity: Mapping[str, str]) -> None:
        with self._guarded():
            self._prepare()
        stored_identity = dict(self._rows("SELECT key, value FROM identity"))
        if stored_identity:
            check_same(self.path, stored_identity, identity)
        else:
            with self._transaction():
                self._connection.executemany("INSERT INTO identity VALUES (?, ?)", identity.items())

    def __enter__(self) -> ResultStore:
        """Return this store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database."""
        self._connection.close()

    def add(self, results: Iterable[SampleResult]) -> None:
        """Add the results of a shard atomically; existing samples are not changed."""
        rows = [
            (row.index, row.label, row.predicted, row.rank, row.error or None, *_numbers(row))
            for row in results
        ]
        placeholders = ", ".join("?" * (5 + len(OPERATIONS)))
        with self._transaction():
            self._connection.executemany(
                f"INSERT OR IGNORE INTO samples VALUES ({placeholders})", rows
            )

    def done(self) -> set[int]:
        """Return the indices of the samples that have a result."""
        return {index for (index,) in self._rows("SELECT sample FROM samples")}

    def results(self) -> Iterator[SampleResult]:
        """Yield all results in the order of the samples."""
        for index, label, predicted, rank, error, *numbers in self._rows(
            "SELECT * FROM samples ORDER BY sample"
        ):
            operations = () if error else tuple(numbers)
            yield SampleResult(index, label, predicted, rank, operations, error or "")

    def _check_files(self) -> None:
        """Refuse a database that is too large, and files at which SQLite would block."""
        for suffix in ("", *_SUFFIXES):
            path = f"{self.path}{suffix}"
            with suppress(FileNotFoundError):
                # The file is not opened: closing it would release the locks of other connections.
                size = check_regular(path, StoreError).st_size
                if not suffix and size > limits().results_bytes:
                    allowed = f"at most {limits().results_bytes}"
                    raise StoreError(path, f"{size} bytes", allowed, remedy("results_bytes"))

    def _prepare(self) -> None:
        execute = self._connection.execute
        # An untrusted database may contain triggers, views and functions that run on access.
        execute("PRAGMA trusted_schema = OFF")
        self._check_schema()
        execute("PRAGMA journal_mode = WAL")
        # A committed transaction survives even a power failure.
        execute("PRAGMA synchronous = FULL")
        for table in _TABLES.values():
            execute(table.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
        self._check_rows()

    def _check_schema(self) -> None:
        """Refuse tables, views, triggers and indices that sdt-lava did not create."""
        objects = self._connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_autoindex_%' LIMIT 9"
        ).fetchall()
        for name, sql in objects:
            if _TABLES.get(name) != sql:
                raise StoreError(
                    str(self.path),
                    f"{str(name)[:40]!a}, which no evaluation makes",
                    f"tables {list(_TABLES)} as this version of sdt-lava makes them",
                    "choose another --out",
                )

    def _check_rows(self) -> None:
        """Refuse values of the wrong type or range: SQLite stores any value in any column."""
        execute = self._connection.execute
        rows = execute(f"SELECT sample FROM samples WHERE NOT ({_LEGAL_ROW}) LIMIT 1").fetchall()
        condition = "typeof(key) = 'text' AND typeof(value) = 'text'"
        keys = execute(f"SELECT key FROM identity WHERE NOT ({condition}) LIMIT 1").fetchall()
        for row in (*rows, *keys):
            raise StoreError(
                f"{self.path}: {'samples' if rows else 'identity'}",
                f"a row {row[0]!a:.40} with values of the wrong kind",
                "natural numbers, or an error, for each sample",
                "choose another --out, and evaluate again",
            )

    def _rows(self, query: str) -> list[tuple]:
        with self._guarded():
            return self._connection.execute(query).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            remedy = "is another evaluation writing there? is the disk full?"
            raise OutputError(str(self.path), str(error), "a writable database", remedy) from error
        # Python 3.13 raises UnicodeDecodeError for invalid text.
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            problem = str(error) or "damaged"  # some of SQLite's errors have no message
            raise StoreError(
                str(self.path), problem, "results of sdt-lava evaluate", "choose another --out"
            ) from error


def _numbers(row: SampleResult) -> tuple[int | None, ...]:
    return row.operations or (None,) * len(OPERATIONS)
