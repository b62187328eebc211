"""Bad signatures are refused, good ones tell which secret fits."""

from datetime import timedelta

import pytest

from integrations.providers.base import BadSignature
from tests.providers.conformance.fakes import NOW
from tests.providers.conformance.provider import Provider


class SignatureRules(Provider):
    """What `verify` accepts."""

    @pytest.mark.parametrize("index", [0, 1])
    def test_it_tells_which_secret_fits(self, index: int) -> None:
        headers = self.sign(self.body(), [self.secrets[index]], NOW)

        assert self.adapter.verify(self.body(), headers, self.secrets, NOW) == index

    def test_it_accepts_several_signatures_of_one_webhook(self) -> None:
        if not self.several_signatures:
            pytest.skip("One webhook has one signature")
        headers = self.sign(self.body(), ["not ours at all", self.secrets[1]], NOW)

        assert self.adapter.verify(self.body(), headers, self.secrets, NOW) == 1

    @pytest.mark.parametrize("off", [-300, -299, 0, 299, 300])
    def test_it_accepts_a_signature_within_300_s(self, off: int) -> None:
        if not self.signature_has_time:
            pytest.skip("Signatures carry no time")
        headers = self.sign(self.body(), self.secrets[:1], NOW + timedelta(seconds=off))

        assert self.adapter.verify(self.body(), headers, self.secrets, NOW) == 0

    @pytest.mark.parametrize("off", [-86400, -301, 301, 86400])
    def test_it_refuses_an_old_signature_and_one_from_the_future(self, off: int) -> None:
        if not self.signature_has_time:
            pytest.skip("Signatures carry no time")
        headers = self.sign(self.body(), self.secrets[:1], NOW + timedelta(seconds=off))

        with pytest.raises(BadSignature):
            self.adapter.verify(self.body(), headers, self.secrets, NOW)

    def test_it_refuses_another_secret_without_telling_any(self) -> None:
        headers = self.sign(self.body(), ["somebody elses"], NOW)

        with pytest.raises(BadSignature) as refused:
            self.adapter.verify(self.body(), headers, self.secrets, NOW)

        assert not any(secret in str(refused.value) for secret in self.secrets)

    def test_it_refuses_a_changed_body(self) -> None:
        headers = self.sign(self.body(), self.secrets[:1], NOW)

        with pytest.raises(BadSignature):
            self.adapter.verify(self.body() + b" ", headers, self.secrets, NOW)

    def test_it_refuses_everything_without_secrets(self) -> None:
        headers = self.sign(self.body(), self.secrets[:1], NOW)

        for none in ([], [""], [" "]):
            with pytest.raises(BadSignature):
                self.adapter.verify(self.body(), headers, none, NOW)

    def test_it_refuses_headers_that_are_no_signature(self) -> None:
        name = next(iter(self.sign(self.body(), self.secrets[:1], NOW)))

        for headers in ({}, {name: ""}, {name: "v1="}, {name: "t=,v1=ä"}, {name: "t=1e9,v1=x"}, {name: "," * 5000}):
            with pytest.raises(BadSignature):
                self.adapter.verify(self.body(), headers, self.secrets, NOW)

    def test_bytes_in_no_encoding_keep_their_signature(self) -> None:
        body = b'{"id": "\xff\xfe"}'
        headers = self.sign(body, self.secrets[1:], NOW)

        assert self.adapter.verify(body, headers, self.secrets, NOW) == 1
        with pytest.raises(BadSignature):
            self.adapter.verify(body + b" ", headers, self.secrets, NOW)
