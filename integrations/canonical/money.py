"""Money as integer minor units and an ISO 4217 code.

Source of the exponents: ISO 4217 list one, with the few withdrawn codes that old records still hold
(ANG, BGN, CUC, HRK, SLL, STD, ZWL).
"""

import re
from typing import Final

_TWO_DECIMALS = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
CHF CNY COP CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD
HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK
MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB
SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STD STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS
UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ZWL
"""

_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

#: ISO 4217 code -> how many decimals its minor unit has
DECIMALS: dict[str, int] = {
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
    **dict.fromkeys(_FOUR_DECIMALS.split(), 4),
}

#: The largest amount that a PostgreSQL bigint holds.
LARGEST = 2**63 - 1
_TYPED: Final = re.compile(r"\d{1,16}(?:\.\d+)?", re.ASCII)


def major_text(minor: int, currency: str) -> str:
    """Return the amount in major units as plain text: (2640, "USD") -> "26.40", (500, "JPY") -> "500".

    An unknown currency is shown in minor units, never guessed.
    """
    decimals = DECIMALS.get(currency, 0)
    sign, digits = "-" if minor < 0 else "", str(abs(minor)).rjust(decimals + 1, "0")
    return sign + (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits)


def minor_of(typed: str, currency: str) -> int:
    """Return an amount that somebody typed in major units, exactly: ("26.40", "USD") -> 2640, ("500", "JPY") -> 500.

    Raises `ValueError` with what is wrong. What may be read in two ways, such as 1,234 or 12.500, is asked back.
    """
    text, decimals = typed.strip(), DECIMALS[currency]
    if not _TYPED.fullmatch(text):
        raise ValueError(f"Write digits alone, such as {major_text(123450, currency)}: no sign, comma or space.")
    whole, _, part = text.partition(".")
    if len(part) > decimals:
        raise ValueError(f"{currency} has {decimals or 'no'} decimals.")
    return int(whole + part.ljust(decimals, "0"))


def rescaled(amount: int, currency: str, decimals: int) -> int | None:
    """Return `amount`, counted with `decimals`, in ISO minor units; None where that leaves a fraction."""
    shift = DECIMALS[currency] - decimals
    if shift >= 0:
        return amount * int(10**shift)
    quotient, rest = divmod(amount, 10**-shift)
    return None if rest else quotient
