"""What changed here goes out, also where a look at the target is settled with it."""

import time
from collections.abc import Callable

import pytest

from integrations.models import Event, Record, Reference, Route
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation.check import check_record
from integrations.workflow import process, sync
from tests.books import held, work_off
from tests.conftest import TESTER
from tests.stripe_objects import invoice_object
from tests.workflow.export.conftest import export_everything, leave_open

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_change_that_is_settled_with_a_look_at_the_target_is_exported(
    route: Route, books: Sandbox, story: dict[str, Record], make_event: Callable[..., Event]
) -> None:
    leave_open(story["invoice"])
    export_everything({name: story[name] for name in ("customer", "invoice")})
    ids = {
        name: Reference.objects.get(record=story[name], connection_id=route.source_id).external_id
        for name in ("customer", "invoice")
    }
    check_record(story["invoice"], at=route.target, actor=TESTER)
    while sync.perform_next():
        pass
    voided = invoice_object(ids["invoice"], number="INV-1", customer=ids["customer"], status="void")
    # Later than what is believed, by the provider's clock, which has whole seconds.
    make_event("invoice.voided", voided, created=int(time.time()) + 2)
    assert Event.objects.filter(state="ready").count() == 2

    assert process.process_batch() == 2
    work_off()

    assert [invoice["Status"] for invoice in held(books, "Invoices")] == ["VOIDED"]
