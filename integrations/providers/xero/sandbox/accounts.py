"""The chart of accounts: as much of it as sales and their payments need."""

import uuid
from datetime import UTC, datetime

from integrations.providers.xero.sandbox.formats import JSON

_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def _account(code: str, name: str, kind: str, group: str, **more: object) -> JSON:
    return {
        "AccountID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"xero sandbox account {code}")),
        "Code": code,
        "Name": name,
        "Status": "ACTIVE",
        "Type": kind,
        "Class": group,
        "TaxType": "NONE",
        "EnablePaymentsToAccount": False,
        "ShowInExpenseClaims": False,
        "HasAttachments": False,
        "UpdatedDateUTC": _BEGUN,
        **more,
    }


ACCOUNTS: dict[str, JSON] = {
    account["Code"]: account
    for account in (
        _account("090", "Business Bank Account", "BANK", "ASSET", BankAccountType="BANK", BankAccountNumber="0909"),
        _account("200", "Sales", "REVENUE", "REVENUE", TaxType="OUTPUT"),
        _account("260", "Other Revenue", "REVENUE", "REVENUE", TaxType="OUTPUT"),
        _account("404", "Bank Fees", "EXPENSE", "EXPENSE"),
        _account("610", "Accounts Receivable", "CURRENT", "ASSET", SystemAccount="DEBTORS"),
        _account("880", "Payments Clearing", "CURRENT", "ASSET", EnablePaymentsToAccount=True),
    )
}
BY_ID: dict[str, JSON] = {account["AccountID"]: account for account in ACCOUNTS.values()}


def find_account(code: object, account_id: object = None) -> JSON | None:
    """The account with this id, else with this code."""
    return BY_ID.get(str(account_id).lower()) or ACCOUNTS.get(str(code))


def takes_payments(account: JSON) -> bool:
    """Whether money may be paid into, or out of, this account."""
    return account["Type"] == "BANK" or bool(account["EnablePaymentsToAccount"])
