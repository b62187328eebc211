"""What commands are asked with, the same for every provider: whole minor units, ISO 4217, RFC 3339, ids there."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from integrations.canonical.money import DECIMALS

#: The largest amount that PostgreSQL and every provider can hold, in minor units.
LARGEST = 2**53 - 1


def _known(code: str) -> str:
    if code not in DECIMALS:
        raise ValueError("It is no ISO 4217 code in capitals.")
    return code


#: Formats of the JSON schema, by which a form knows amounts in the content's own currency, and that currency.
MINOR_UNITS: Final = "minor-units"
ISO_4217: Final = "iso-4217"

Currency = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"format": ISO_4217})]
Minor = Annotated[int, Field(ge=0, le=LARGEST, json_schema_extra={"format": MINOR_UNITS})]
Paid = Annotated[int, Field(gt=0, le=LARGEST, json_schema_extra={"format": MINOR_UNITS})]
#: A text that people read.
Text = Annotated[str, Field(min_length=1, max_length=255)]


def _no_step(value: str) -> str:
    if is_step(value):
        raise ValueError("It is no id: in an address it leads to another place.")
    return value


def is_step(external_id: str) -> bool:
    """Say whether an id is a step within addresses ("." or ".."), by which a request would reach something else."""
    return external_id.strip() in (".", "..")


#: What something else is called at the connection.
There = Annotated[str, AfterValidator(_no_step), Field(min_length=1, max_length=255, description="Its id there.")]


class Content(BaseModel):
    """A field that no action takes is refused: it would be left out silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Invoice(Content):
    """An invoice as it is to stand there; `customer` is their id there."""

    number: Text
    customer: There
    currency: Currency
    subtotal: Minor
    tax: Minor
    total: Minor
    issued_at: AwareDatetime
    due_at: AwareDatetime | None = None
    state: Literal["draft", "open"] = "open"

    @model_validator(mode="after")
    def adds_up(self) -> Self:
        """Refuse sums that do not add up, as books do."""
        if self.subtotal + self.tax != self.total:
            raise ValueError("The total is not the subtotal and the tax together.")
        return self


class Void(Content):
    """What is voided says everything; a draft may be named as one."""

    state: Literal["draft", "open"] | None = None


class Payment(Content):
    """A payment of an invoice; `invoice` is its id there."""

    invoice: There
    currency: Currency
    amount: Paid
    paid_at: AwareDatetime
    reference: Text | None = None


class Refund(Content):
    """Money paid back of a payment; `payment` is its id there."""

    payment: There
    amount: Paid
    currency: Currency
    reason: Annotated[str, Field(max_length=500)] | None = Field(None, title="Reason told there")


class Nothing(Content):
    """The action and what it acts on say everything."""
