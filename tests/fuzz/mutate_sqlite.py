"""Damage to a results database: its tables, types and rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
_VALUES = ("NULL", "-1", "9223372036854775807", "1.5", "'x'", "x'00ff'", "zeroblob(100)", "1e999")


def damage(rng: Random, path: Path) -> None:
    """Run one to three statements that no evaluation would run."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # What never ends ends here: endless triggers and views are for the reader.
        connection.set_progress_handler(lambda: True, 100_000)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(samples)")]
        for _ in range(rng.choice((1, 1, 2, 3))):
            try:
                connection.execute(_statement(rng, columns))
            except sqlite3.Error:
                continue  # an earlier one is in the way


def _statement(rng: Random, columns: list[str]) -> str:
    column, value = rng.choice(columns), rng.choice(_VALUES)
    endless = f"SELECT {', '.join(['i'] * len(columns))} FROM ({_ENDLESS})"
    return rng.choice(
        (
            f"UPDATE samples SET {column} = {value} WHERE sample = 1",
            f"UPDATE samples SET {column} = {value}",
            f"UPDATE samples SET {column} = {value} WHERE sample = 2",
            f"INSERT INTO samples (sample, {column}) VALUES (77, {value})",
            "DELETE FROM samples WHERE sample = 0",
            "DROP TABLE samples",
            "DROP TABLE identity",
            f"ALTER TABLE samples DROP COLUMN {columns[-1]}",
            "ALTER TABLE samples ADD COLUMN more TEXT",
            f"ALTER TABLE samples RENAME COLUMN {column} TO other",
            "ALTER TABLE samples RENAME TO old",
            f"CREATE VIEW samples AS {endless}",
            "CREATE VIEW identity AS SELECT 'format' AS key, 1 AS value",
            f"UPDATE identity SET value = {value} WHERE key = 'format'",
            f"UPDATE identity SET value = {value}",
            f"INSERT INTO identity VALUES ('more', {value})",
            "DELETE FROM identity",
            "DELETE FROM identity WHERE key = 'options'",
            "CREATE TRIGGER t BEFORE INSERT ON samples BEGIN DELETE FROM samples; END",
            "CREATE TRIGGER t AFTER INSERT ON samples BEGIN SELECT load_extension('x'); END",
            f"CREATE TRIGGER t AFTER INSERT ON samples BEGIN {_ENDLESS}; END",
            "CREATE TABLE more (a)",
            "CREATE INDEX i ON samples (randomblob(100000000))",
            "PRAGMA user_version = 99",
            "PRAGMA application_id = 99",
        )
    )
