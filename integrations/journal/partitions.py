"""Monthly partitions of the journal and the payloads, made ahead of time."""

from datetime import UTC, date, datetime
from typing import Any

PARTITIONED = ("integrations_journal", "integrations_payload")


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
    return made
