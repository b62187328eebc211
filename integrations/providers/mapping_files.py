"""Where an adapter's own mapping document lies: beside it."""

from importlib.resources import files

from integrations.providers import get_adapter


def mapping_file(slug: str) -> bytes:
    """Return the bytes of `mapping.toml` in the provider's folder."""
    package = type(get_adapter(slug)).__module__.rpartition(".")[0]
    return files(package).joinpath("mapping.toml").read_bytes()
