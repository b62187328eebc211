"""The list of deliveries: what we told downstream, newest first, by subscription, state, topic or record."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.http import QueryDict

from console.filters import Choice, Filter, read
from console.subscriptions.page import with_older
from integrations.models import Delivery, Subscription, WorkState
from integrations.workflow.messages import topics

SIZE = 50


class Cut(NamedTuple):
    """One page, with the ids where its neighbours begin; None where there is none."""

    rows: list[Delivery]
    newer: int | None
    older: int | None


@dataclass(frozen=True)
class Asking:
    """What an address asks of the list. `after` and `before` are ids of deliveries, `record` of a record."""

    filters: dict[str, Filter]
    record: int | None
    after: int | None
    before: int | None

    @classmethod
    def read(cls, query: QueryDict, subscriptions: list[Subscription]) -> "Asking":
        """Return what the query asks; what it does not understand narrows nothing."""
        ids = (id_of(query.get(name)) for name in ("record", "after", "before"))
        return cls(read(offered(subscriptions), query), *ids)

    @property
    def narrowed(self) -> bool:
        return self.record is not None or any(each.chosen for each in self.filters.values())


def offered(subscriptions: list[Subscription]) -> list[Filter]:
    """Return the filters of the list."""
    states = [Choice(word, str(label).lower(), "work") for word, label in WorkState.choices]
    return [
        Filter("subscription", "Subscription", choices=[Choice(str(each.pk), each.name) for each in subscriptions]),
        Filter("state", "State", choices=states),
        Filter("topic", "Topic", "one", choices=[Choice(topic, topic) for topic in topics()]),
    ]


def page(asking: Asking, visible: "QuerySet[Delivery]", subscriptions: list[Subscription]) -> Cut:
    """Return one page of the deliveries among `visible` that match."""
    rows = _narrowed(asking, visible, subscriptions)
    rows = with_older(rows).select_related("message", "subscription", "record")
    forward = asking.before is None
    if asking.after is not None and forward:
        rows = rows.filter(pk__lt=asking.after)
    elif asking.before is not None:
        rows = rows.filter(pk__gt=asking.before)
    found = list(rows.order_by("-id" if forward else "id")[: SIZE + 1])
    more, found = len(found) > SIZE, found[:SIZE]
    if not forward:
        found.reverse()
    if not found:
        return Cut([], None, None)
    has_newer = more if not forward else asking.after is not None
    has_older = more if forward else True
    return Cut(found, found[0].pk if has_newer else None, found[-1].pk if has_older else None)


def _narrowed(asking: Asking, rows: "QuerySet[Delivery]", subscriptions: list[Subscription]) -> "QuerySet[Delivery]":
    chosen = {name: each.chosen for name, each in asking.filters.items()}
    wanted = Q()
    if chosen["subscription"]:
        wanted &= Q(subscription__in=[int(value) for value in chosen["subscription"]])
    elif chosen["state"] and subscriptions:
        # The index by state begins with the subscription.
        wanted &= Q(subscription__in=subscriptions)
    if chosen["state"]:
        wanted &= Q(state__in=chosen["state"])
    if chosen["topic"]:
        wanted &= Q(message__topic=chosen["topic"][0])
    if asking.record is not None:
        wanted &= Q(record=asking.record)
    return rows.filter(wanted)


def id_of(text: Any) -> int | None:
    """Return an id that an address holds; None where it holds none."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 19 else None
