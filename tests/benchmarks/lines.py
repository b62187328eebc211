"""What a benchmark says: one JSON line a number, and what was asked of it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from operator import ge, le
from statistics import quantiles

#: The numbers that the product promises on two cores: at least (ge) or at most (le).
ASKED = {
    "ingest_acks_per_s": (ge, 3000),
    "ingest_p99_ms": (le, 50),
    "first_sync_10k_s": (le, 8),
    "worker_rss_mb": (le, 300),
    "resync_unchanged_writes": (le, 0),
    "commands_per_s": (ge, 300),
    "command_worker_rss_mb": (le, 300),
    "record_page_ms": (le, 50),
    "record_page_queries": (le, 15),
    "records_first_page_ms": (le, 60),
    "records_deep_page_ms": (le, 60),
    "records_search_ms": (le, 60),
    "deliveries_per_s": (ge, 500),
    "xero_429_per_1000": (le, 1),
    "xero_rate_used": (ge, 0.9),
}


@dataclass(frozen=True)
class Line:
    """One number beside the limit that was measured in the same run."""

    name: str
    value: float
    unit: str
    limit: float

    def __str__(self) -> str:
        ratio = round(self.value / self.limit, 3) if self.limit else (1.0 if not self.value else None)
        return json.dumps(
            {
                "name": self.name,
                "value": round(self.value, 3),
                "unit": self.unit,
                "limit": round(self.limit, 3),
                "ratio": ratio,
            }
        )


def verdict(text: str) -> str:
    """Return what was asked of a line and whether it holds, "" where nothing was."""
    line = json.loads(text)
    if line["name"] not in ASKED:
        return ""
    holds, wanted = ASKED[line["name"]]
    words = f"{line['name']}: {line['value']:,g} {line['unit']}, asked {'at least' if holds is ge else 'at most'} "
    return f"{words}{wanted:,g}: {'met' if holds(line['value'], wanted) else 'MISSED'}"


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the value that `percent` of 100 do not exceed."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]
