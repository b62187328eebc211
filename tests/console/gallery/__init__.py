"""A page that shows every part in its states. For tests and for eyes; no part of the product."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django import forms

from console import look
from console.drawing import Part
from console.filters import Choice, Filter
from console.newest import Newest
from console.tree import Marks, Redacted

NOW = datetime(2026, 11, 19, 14, 32, 8, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"


class PauseForm(forms.Form):
    name = forms.CharField(help_text="Shown in the journal.")
    until = forms.ChoiceField(choices=[("", "somebody resumes it"), ("1h", "in 1 hour")], required=False)
    version = forms.ChoiceField(choices=[("8", "v8, in force now"), ("7", "v7")], widget=forms.RadioSelect)
    told = forms.BooleanField(label="Tell the team", required=False)


def space(environment: str = "live") -> Any:
    """Return a space as the frame expects one."""
    tenant = SimpleNamespace(name="Northwind Traders", slug="northwind")
    return SimpleNamespace(tenant=tenant, environment=environment, url=f"/northwind/{environment}/")


def nav() -> list[Any]:
    """Return the side's links."""
    rows = [
        ("Overview", "overview", None, ""),
        ("Records", "records", None, ""),
        ("Problems", "problems", 8, ""),
        ("Drift", "drift", 46, ""),
        ("Events", "events", None, "Evidence and setup"),
        ("Connections", "connections", None, "Evidence and setup"),
        ("Audit", "audit", None, "Evidence and setup"),
    ]
    return [
        SimpleNamespace(name=name, icon=icon, url=f"#{icon}", current=icon == "records", count=count, group=group)
        for name, icon, count, group in rows
    ]


def context(environment: str = "live") -> dict[str, Any]:
    """Return everything that the page draws."""
    return {
        "now": NOW,
        "page": Newest([], older=9),
        "space": space(environment),
        "spaces": [space("live"), space("test")],
        "nav": nav(),
        "person_roles": "operations",
        "received_at": NOW - timedelta(hours=1, minutes=47),
        "occurred_at": NOW - timedelta(hours=22),
        "due_at": NOW + timedelta(seconds=52),
        **_lists(),
        **_evidence(),
    }


def _lists() -> dict[str, Any]:
    choices = [Choice(word, word, topic="invoice", count=18) for word in ("open", "paid", "void")]
    rows = [
        SimpleNamespace(
            title=title, environment=environment, state=state, kind="invoice", total=total, currency=currency,
            reference="in_1PxYzAB7WZ01zgkWq3mT8dLc",
        )
        for title, environment, state, total, currency in (
            ("INV-2041", "live", "paid", 481250, "EUR"),
            ("INV-2042", "live", "open", -31000, "GBP"),
            (f"{SCRIPT} & Söhne", "test", "uncollectible", 5000, "JPY"),
        )
    ]  # fmt: skip
    return {
        "states": look.STATES,
        "categories": look.CATEGORIES,
        "owners": look.OWNERS,
        "rows": rows,
        "filters": [
            Filter("state", "State", choices=choices, chosen=("open", "paid")),
            Filter("age", "Age", kind="one", choices=[Choice("hour", "over 1 hour")]),
            Filter("amount", "Amount", kind="text", hint="In the record's currency."),
            Filter("stuck", "Stuck", kind="flag", chosen=("1",)),
            Filter("differs", "Differs", kind="flag"),
        ],
        "keep": [("q", "4,812"), ("view", "")],
        "tabs": [
            SimpleNamespace(name="Stuck", url="#", current=True, count=331),
            SimpleNamespace(name="All", url="#", current=False, count=None),
        ],
        "series": [((hour * 7) % 23 + 4, hour % 5 // 3) for hour in range(24)],
        "parts": [
            Part("would change", 1131, "accent"), Part("no change", 41), Part("would fail again", 23, "warn"),
            Part("unsafe", 9, "danger"),
        ],
    }  # fmt: skip


def _evidence() -> dict[str, Any]:
    payload = {
        "id": "evt_1QMd7kB7WZ01zgkWp3Vn8sXa",
        "data": {
            "object": {
                "status": "paid", "total": 481250, "ratio": 1.5, "customer_email": Redacted(), "livemode": True,
                "memo": SCRIPT, "lines": {"data": [{"amount": 1, "tax": {"rate": None}}], "a/b": []},
            }
        },
    }  # fmt: skip
    marks = Marks(
        used={"/data/object/status": "state", "/data/object/total": "total", "/data/object/total_taxes": "tax"},
        hits=("/data/object/total_taxes",),
        sources=("/data/object/total",),
        absent=("/data/object/total_taxes",),
        reveal="/reveal/",
    )
    sent = {
        "line": "PUT /v1/payments",
        "headers": [("Idempotency-Key", "op_01JD2Y8Q4M7T"), ("Authorization", None)],
        "body": '{ "Amount": 4812.50 }',
        "at": NOW,
    }
    answer = {"line": "503 Service Unavailable", "headers": [("Retry-After", "60")], "body": "", "at": NOW}
    return {
        "payload": payload,
        "marks": marks,
        "sent": sent,
        "answer": answer,
        "changes": [("State", "open", "paid"), ("Paid at", None, "18 Nov, 16:41"), ("Number", "INV-2041", "INV-2041")],
        "facts": [("Next step", "Look for the payment; reading works."), ("Owner", "operations"), ("Ticket", None)],
        "form": PauseForm({"told": "on"}),
    }
