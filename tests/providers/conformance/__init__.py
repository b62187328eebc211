"""What every adapter must do, whoever the provider is. An adapter's test class inherits `Conformance`.

The subclass says how its provider signs, lists, answers and acts (`provider.Provider`); the rules are here, one theme
a file. HTTP is faked at the transport, never the adapter.
"""

import pytest

for _theme in ("identity", "signatures", "envelopes", "answers", "pages", "several", "commands"):
    pytest.register_assert_rewrite(f"{__name__}.{_theme}")

from tests.providers.conformance.answers import AnswerRules  # noqa: E402
from tests.providers.conformance.commands import CommandRules  # noqa: E402
from tests.providers.conformance.envelopes import EnvelopeRules  # noqa: E402
from tests.providers.conformance.fakes import (  # noqa: E402
    MALFORMED,
    NOW,
    PERSONAL,
    FakeTransport,
    always,
    answer,
    at,
    attempt,
    silent,
)
from tests.providers.conformance.identity import IdentityRules  # noqa: E402
from tests.providers.conformance.pages import PageRules  # noqa: E402
from tests.providers.conformance.several import SeveralRules  # noqa: E402
from tests.providers.conformance.signatures import SignatureRules  # noqa: E402

__all__ = [
    "MALFORMED", "NOW", "PERSONAL", "Conformance", "FakeTransport", "always", "answer", "at", "attempt", "silent",
]  # fmt: skip


class Conformance(IdentityRules, SignatureRules, EnvelopeRules, AnswerRules, PageRules, SeveralRules, CommandRules):
    """All rules."""
