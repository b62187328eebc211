"""The list of deliveries: what we told downstream, newest first, by subscription, state, topic or record."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.http import QueryDict

from console import newest
from console.filters import Choice, Filter, read
from console.subscriptions.page import with_older
from integrations.models import Delivery, Subscription, WorkState
from integrations.workflow.messages import topics

SIZE = 50


@dataclass(frozen=True)
class Asking:
    """What an address asks of the list; `record` is the id of a record, 0 for all."""

    filters: dict[str, Filter]
    record: int

    @classmethod
    def read(cls, query: QueryDict, subscriptions: list[Subscription]) -> "Asking":
        """Return what the query asks; what it does not understand narrows nothing."""
        return cls(read(offered(subscriptions), query), newest.id_of(query.get("record", "")))

    @property
    def narrowed(self) -> bool:
        return bool(self.record) or any(each.chosen for each in self.filters.values())


def offered(subscriptions: list[Subscription]) -> list[Filter]:
    """Return the filters of the list."""
    states = [Choice(word, str(label).lower(), "work") for word, label in WorkState.choices]
    return [
        Filter("subscription", "Subscription", choices=[Choice(str(each.pk), each.name) for each in subscriptions]),
        Filter("state", "State", choices=states),
        Filter("topic", "Topic", "one", choices=[Choice(topic, topic) for topic in topics()]),
    ]


def page(
    asking: Asking, visible: "QuerySet[Delivery]", subscriptions: list[Subscription], query: QueryDict
) -> "newest.Newest[Delivery]":
    """Return one page of the deliveries among `visible` that match."""
    rows = with_older(_narrowed(asking, visible, subscriptions))
    return newest.page(rows.select_related("message", "subscription", "record"), query, SIZE)


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
    if asking.record:
        wanted &= Q(record=asking.record)
    return rows.filter(wanted)
