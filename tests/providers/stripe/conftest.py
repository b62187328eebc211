"""What these tests share."""

from integrations.boundary.mapping import load_document
from integrations.providers.base import Access, Adapter
from integrations.providers.stripe.adapter import MAPPING, StripeAdapter
from integrations.providers.stripe.client import StripeSettings

ADAPTER: Adapter = StripeAdapter()
ACCESS = Access(StripeSettings(), {"api_key": "sk_test_invented0"})
DOCUMENT = load_document(MAPPING)
