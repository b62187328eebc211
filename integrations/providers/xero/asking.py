"""What Xero alone is asked with; what every provider takes is in `canonical.asking`."""

from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from integrations.canonical.asking import Content, Currency, Invoice, Minor, Paid, Text, There


class Contact(Content):
    """Whom to enter into the books."""

    name: Text
    email: Text | None = None
    currency: Currency | None = None


class ContactUpdate(Contact):
    """A contact as it is to stand there; of it only what is in `changed` is written, or all where that is left out."""

    changed: list[Text] | None = Field(None, min_length=1)


class InvoiceUpdate(Invoice):
    """An invoice as it is to stand there; of it only what is in `changed` is written, or all where that is left out."""

    changed: list[Text] | None = Field(None, min_length=1)


class CreditNote(Content):
    """A credit note for a customer; `customer` is the contact's id there, `invoice_number` what it takes back.

    `amount` is all that is credited, `tax` the tax in it; `subtotal` is the rest.
    """

    number: Text
    customer: There
    currency: Currency
    subtotal: Minor | None = None
    tax: Minor = 0
    amount: Paid
    issued_at: AwareDatetime
    invoice_number: Text | None = None
    reason: Text | None = Field(None, title="Reason told there")

    @model_validator(mode="after")
    def adds_up(self) -> Self:
        """Refuse sums that do not add up, as books do."""
        subtotal = self.amount - self.tax if self.subtotal is None else self.subtotal
        if subtotal < 0 or subtotal + self.tax != self.amount:
            raise ValueError("The amount is not the subtotal and the tax together.")
        return self


class CreditNoteRefund(Content):
    """Money paid back on a credit note; `credit_note` is its id there."""

    credit_note: There
    currency: Currency
    amount: Paid
    paid_at: AwareDatetime


class RefundTakenBack(Content):
    """A payment out of a credit note that is deleted; `payment` is its id there."""

    payment: Text
