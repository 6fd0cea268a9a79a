"""Durable results: an SQLite database to which every shard is added as one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from sdt_lava.errors import SdtLavaError
from sdt_lava.evaluate.identity import check_same
from sdt_lava.evaluate.sample import OPERATIONS, SampleResult
from sdt_lava.files import OutputError

# How long a writer waits for another process that has the database locked [s].
_LOCK_TIMEOUT = 10.0


class StoreError(SdtLavaError):
    """A results database that is damaged, or is not one."""


class ResultStore:
    """Results of an evaluation, by sample.

    A shard is there as a whole or not at all, whenever the process or the machine stops.

    Parameters
    ----------
    path : Path
        The database file; write-ahead log and shared memory lie beside it.
    identity : mapping of str to str
        What the evaluation is of.
    resume : bool
        Whether an existing database may be continued.

    Raises
    ------
    ConfigError
        If the database is of another evaluation, or exists and `resume` is not set.
    StoreError
        If it is damaged.
    """

    def __init__(self, path: Path, identity: Mapping[str, str], *, resume: bool) -> None:
        self.path = path
        existed = path.exists()
        if existed and not resume:
            raise OutputError(
                str(path),
                "results of an earlier evaluation",
                "a folder without results",
                "add --resume to continue it, or choose another --out",
            )
        with self._guarded():
            self._connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None)
            self._prepare()
        stored = dict(self._rows("SELECT key, value FROM identity"))
        if stored:
            check_same(path, stored, identity)
        else:
            with self._transaction():
                self._connection.executemany("INSERT INTO identity VALUES (?, ?)", identity.items())

    def __enter__(self) -> ResultStore:
        """Return the store itself."""
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
        """Add the results of a shard, all or nothing; samples that are there are left alone."""
        rows = [
            (row.index, row.label, row.predicted, row.rank, row.error or None, *_numbers(row))
            for row in results
        ]
        marks = ", ".join("?" * (5 + len(OPERATIONS)))
        with self._transaction():
            self._connection.executemany(f"INSERT OR IGNORE INTO samples VALUES ({marks})", rows)

    def done(self) -> set[int]:
        """Return the samples that have a result."""
        return {index for (index,) in self._rows("SELECT sample FROM samples")}

    def results(self) -> Iterator[SampleResult]:
        """Yield all results by sample."""
        for index, label, predicted, rank, error, *numbers in self._rows(
            "SELECT * FROM samples ORDER BY sample"
        ):
            operations = () if error else tuple(numbers)
            yield SampleResult(index, label, predicted, rank, operations, error or "")

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        # A transaction that was reported as done is on the disk, even after a power failure.
        execute("PRAGMA synchronous = FULL")
        execute("CREATE TABLE IF NOT EXISTS identity (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        columns = ", ".join(f"{name} INTEGER" for name in OPERATIONS)
        execute(
            "CREATE TABLE IF NOT EXISTS samples (sample INTEGER PRIMARY KEY, label INTEGER, "
            f"predicted INTEGER, rank INTEGER, error TEXT, {columns})"
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
        except sqlite3.OperationalError as error:
            remedy = "is another evaluation writing there? is the disk full?"
            raise OutputError(str(self.path), str(error), "a writable database", remedy) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                str(self.path), str(error), "results of sdt-lava evaluate", "choose another --out"
            ) from error


def _numbers(row: SampleResult) -> tuple[int | None, ...]:
    return row.operations or (None,) * len(OPERATIONS)
