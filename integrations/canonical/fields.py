"""The types of canonical fields. All are strict: nothing is coerced into them silently."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from integrations.canonical.money import DECIMALS, LARGEST


class Canonical(BaseModel):
    """The fields of one kind. The product state is kept beside them, not in them."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _iso_4217(code: str) -> str:
    if code not in DECIMALS:
        raise ValueError(f"{code!r} is not an ISO 4217 currency")
    return code


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


#: An amount in the minor units of the record's currency.
Minor = Annotated[int, Field(strict=True, ge=-LARGEST, le=LARGEST)]
Currency = Annotated[str, Field(strict=True), AfterValidator(_iso_4217)]
Text = Annotated[str, Field(strict=True)]
#: The external id of the record that this one refers to.
Link = Annotated[str, Field(strict=True, min_length=1, max_length=255)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
