from typing import Any


def test_it_says_that_nothing_is_sent(client_of: Any, support: Any, connection: Any) -> None:
    shown = client_of(support).get("/northwind/test/commands/").content.decode()

    assert "Nothing is sent to a provider yet" in shown
    assert "<table" not in shown


def test_strangers_find_nothing(client_of: Any, stranger: Any, connection: Any) -> None:
    assert client_of(stranger).get("/northwind/test/commands/").status_code == 404
