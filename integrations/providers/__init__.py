"""The registry: one line a provider."""

from functools import cache
from importlib import import_module

from integrations.providers.base import Adapter

PROVIDERS = {
    "stripe": "integrations.providers.stripe.adapter:StripeAdapter",
    "xero": "integrations.providers.xero.adapter:XeroAdapter",
}


@cache
def get_adapter(slug: str) -> Adapter:
    """Return the adapter of a provider; raises KeyError for an unknown slug."""
    module, _, name = PROVIDERS[slug].partition(":")
    adapter: Adapter = getattr(import_module(module), name)()
    return adapter
