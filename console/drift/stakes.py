"""The money at stake in open differences, said for each currency and never summed over them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection as database

from console.values import sorts
from integrations.canonical import KINDS

#: Open differences looked at, the newest.
MOST: Final = 10_000
MONEY: Final = tuple(sorted({name for kind in KINDS for name, sort in sorts(kind).items() if sort == "money"}))


@dataclass(frozen=True)
class Stake:
    """What is at stake in one currency: records, their sum and the largest, in minor units."""

    currency: str
    records: int
    total: int
    largest: int


@dataclass(frozen=True)
class Stakes:
    """All currencies, and how many records differ without money in it; `capped`: there are more."""

    currencies: tuple[Stake, ...] = ()
    without: int = 0
    capped: bool = False


# By record: its whole amount where its state or existence differs and not what is due, else the largest difference of
# one amount.
SQL = """
WITH newest AS (
    SELECT record_id, connection_id, resource, external_id, field,
           CASE WHEN field = ANY(%(money)s) AND jsonb_typeof(coalesce(ours, 'null')) IN ('number', 'null')
                     AND jsonb_typeof(coalesce(theirs, 'null')) IN ('number', 'null')
                THEN abs(coalesce((theirs #>> '{}')::numeric, 0) - coalesce((ours #>> '{}')::numeric, 0)) END AS moved
    FROM integrations_drift
    WHERE tenant_id = %(tenant)s AND environment = %(environment)s AND status = 'open'
      AND connection_id = ANY(%(connections)s)
    ORDER BY id DESC LIMIT %(most)s)
SELECT currency, count(*), sum(stake)::bigint, max(stake)::bigint, sum(rows) FROM (
    SELECT CASE WHEN n.stake IS NULL THEN '' ELSE r.currency END AS currency, n.stake, n.rows FROM (
        SELECT o.record_id, count(*) AS rows,
               CASE WHEN bool_or(o.field IN ('state', 'existence')) AND NOT bool_or(o.field = 'amount_due') THEN
                   (SELECT abs(amount) FROM integrations_record WHERE id = o.record_id) ELSE max(o.moved) END AS stake
        FROM newest o GROUP BY o.record_id, o.connection_id, o.resource, o.external_id) n
    LEFT JOIN integrations_record r ON r.id = n.record_id) s
GROUP BY currency ORDER BY 3 DESC NULLS LAST
"""


def open_stakes(space: Any, connection_ids: Collection[int]) -> Stakes:
    """Return what is at stake in the open differences of some connections; one query."""
    with database.cursor() as cursor:
        cursor.execute(
            SQL,
            {
                "money": list(MONEY),
                "tenant": space.tenant.pk,
                "environment": space.environment,
                "connections": list(connection_ids),
                "most": MOST,
            },
        )
        rows = cursor.fetchall()
    return Stakes(
        currencies=tuple(Stake(code, records, total, largest) for code, records, total, largest, _ in rows if code),
        without=sum(records for code, records, *_ in rows if not code),
        capped=sum(row[4] for row in rows) >= MOST,
    )
