"""What these tests share."""

from collections.abc import Callable

from integrations.models import Delivery, Record
from tests.outbox.conftest import Subscribed

Change = Callable[..., Record]
Subscribe = Callable[..., Subscribed]


def states() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("state", flat=True))
