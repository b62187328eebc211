"""Which addresses secrets may be sent to."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def safe_address(address: str) -> str:
    """Return an address of scheme, host and port without a slash at its end; raises `ValueError` for any other."""
    parts = urlsplit(address)
    if parts.query or parts.fragment or parts.username or parts.password or parts.path.strip("/"):
        raise ValueError("give scheme, host and port only")
    if not parts.hostname or parts.port == 0:
        raise ValueError("there is no host in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname)):
        raise ValueError("use https; plain http is for a server on this machine only")
    return address.rstrip("/")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
