"""Monthly partitions of the journal and the payloads, made ahead of time."""

from datetime import UTC, date, datetime
from typing import Any

JOURNAL = "integrations_journal"
PARTITIONED = (JOURNAL, "integrations_payload")

#: Triggers on rows come down from the parent to its partitions, those on TRUNCATE do not.
GUARD = """
CREATE OR REPLACE FUNCTION integrations_never_emptied() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'The journal is append-only and cannot be emptied'; END $$
"""
UNGUARDED = """
SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %s::regclass
  AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'never_emptied')
"""


def month_after(day: date, months: int) -> date:
    """Return the first day of the month that lies `months` after the month of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def ensure_partitions(connection: Any, *, today: date | None = None, back: int = 1, ahead: int = 3) -> list[str]:
    """Make the partitions from `back` months ago to `ahead` months from now (UTC); return the new ones.

    Runs at migration, when a worker starts and daily; making what exists changes nothing.
    """
    day = today or datetime.now(UTC).date()
    made = []
    with connection.cursor() as cursor:
        for table in PARTITIONED:
            for offset in range(-back, ahead + 1):
                start, end = month_after(day, offset), month_after(day, offset + 1)
                name = f"{table}_{start:%Y_%m}"
                cursor.execute("SELECT to_regclass(%s)", [name])
                if cursor.fetchone()[0] is None:
                    cursor.execute(
                        f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} "
                        f"FOR VALUES FROM ('{start:%Y-%m-%d} 00:00:00+00') TO ('{end:%Y-%m-%d} 00:00:00+00')"
                    )
                    made.append(name)
        _guard(cursor)
    return made


def _guard(cursor: Any) -> None:
    """Let no partition of the journal be emptied behind its parent."""
    cursor.execute(UNGUARDED, [JOURNAL])
    bare = [row[0] for row in cursor.fetchall()]
    if bare:
        cursor.execute(GUARD)
    for name in bare:
        cursor.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION integrations_never_emptied()"
        )
