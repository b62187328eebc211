"""What Xero alone is asked with; what every provider takes is in `canonical.asking`."""

from pydantic import AwareDatetime, Field

from integrations.canonical.asking import Content, Currency, Paid, Text, There


class Contact(Content):
    """Whom to enter into the books."""

    name: Text
    email: Text | None = None
    currency: Currency | None = None


class CreditNote(Content):
    """A credit note for a customer; `customer` is the contact's id there."""

    number: Text
    customer: There
    currency: Currency
    amount: Paid
    issued_at: AwareDatetime
    reason: Text | None = Field(None, title="Reason told there")


class CreditNoteRefund(Content):
    """Money paid back on a credit note; `credit_note` is its id there."""

    credit_note: There
    currency: Currency
    amount: Paid
    paid_at: AwareDatetime


class RefundTakenBack(Content):
    """A payment out of a credit note that is deleted; `payment` is its id there."""

    payment: Text
