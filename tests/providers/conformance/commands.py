"""Commands: composed the same way every time, read one by one, and found again after an answer was lost."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from integrations.failures.categories import Category, Fault
from integrations.providers.base import Effect, Intent
from tests.providers.conformance.fakes import (
    MALFORMED,
    STATUSES,
    FakeTransport,
    always,
    answer,
    at,
    attempt,
    silent,
)
from tests.providers.conformance.provider import Provider

KEY = "op-4711~2"


class CommandRules(Provider):
    """What `compose`, `effects`, `find_effect`, `operation_of` and `shows` do."""

    def parcels(self) -> Iterator[list[Intent]]:
        """Intents as they travel: as many in one request as the action allows."""
        for name, intents in self.intents().items():
            yield intents[: self.adapter.actions[name].batch]

    def singles(self) -> list[Intent]:
        """One intent of each action."""
        return [intents[0] for intents in self.intents().values()]

    def test_every_action_is_tested_and_acts_on_a_stream(self) -> None:
        streams = {stream.resource for stream in self.adapter.streams}

        assert self.intents().keys() == self.adapter.actions.keys()
        for name, spec in self.adapter.actions.items():
            assert spec.name == name
            assert spec.title
            assert spec.resource in streams
            assert spec.batch >= 1

    def test_the_same_intents_make_the_same_request(self) -> None:
        for intents in self.parcels():
            first = self.adapter.compose(self.access, intents, KEY)
            again = self.adapter.compose(self.access, [replace(intent) for intent in intents], KEY)

            assert first == again
            assert first.headers == again.headers

    def test_another_token_changes_no_byte_of_the_body(self) -> None:
        fresh = replace(self.access, secrets={name: f"{secret}9" for name, secret in self.access.secrets.items()})

        for intents in self.parcels():
            first, later = (self.adapter.compose(access, intents, KEY) for access in (self.access, fresh))

            assert (first.method, first.url, first.query, first.body) == (
                later.method, later.url, later.query, later.body,
            )  # fmt: skip

    def test_the_key_travels_in_a_header_and_secrets_nowhere_else(self) -> None:
        for intents in self.parcels():
            request = self.adapter.compose(self.access, intents, KEY)
            told = f"{request.url} {request.query} {request.body!r}"

            assert request.headers["idempotency-key"] == KEY
            assert KEY not in told
            assert not any(secret in told for secret in self.access.secrets.values())

    def test_what_is_made_carries_its_operation_id(self) -> None:
        for intents in self.parcels():
            if self.adapter.actions[intents[0].action].creates:
                body = self.adapter.compose(self.access, intents, KEY).body.decode()

                assert all(intent.operation_id in body for intent in intents)

    def test_it_says_where_each_intent_lies_in_its_request(self) -> None:
        for intents in self.parcels():
            request = self.adapter.compose(self.access, intents, KEY)
            if len(intents) > 1:
                parts = [json.dumps(at(place, json.loads(request.body))) for place in request.places]

                for intent, part in zip(intents, parts, strict=True):
                    assert (intent.external_id or intent.operation_id) in part

    def test_content_that_lacks_something_is_refused_before_anything_leaves(self) -> None:
        for intent in self.singles():
            for missing in intent.content:
                less = {name: value for name, value in intent.content.items() if name != missing}
                found = attempt(
                    lambda less=less: self.adapter.compose(self.access, [replace(intent, content=less)], KEY)  # type: ignore[misc] # noqa: B023
                )
                if isinstance(found, Fault):
                    assert found.category in (Category.VALIDATION, Category.MAPPING)
                    assert found.field

    def test_effects_come_in_the_order_of_the_intents(self) -> None:
        for intents in self.parcels():
            response = self.answered(intents)
            effects = self.adapter.effects(intents, response)

            assert len(effects) == len(intents)
            for intent, effect in zip(intents, effects, strict=True):
                assert effect.fault is None
                assert effect.external_id
                assert at(effect.path, json.loads(response.body)) == effect.obj
                assert not intent.external_id or effect.external_id == intent.external_id

    def test_one_that_is_refused_does_not_take_the_others_with_it(self) -> None:
        for intents in self.parcels():
            if len(intents) == 1:
                continue
            effects = self.adapter.effects(intents, self.answered(intents, refused=[1]))

            assert [effect.fault is None for effect in effects] == [place != 1 for place in range(len(intents))]
            assert effects[1].fault is not None
            assert effects[1].fault.category in (Category.VALIDATION, Category.BUSINESS)
            assert effects[1].external_id == ""

    def test_one_that_travels_alone_and_is_refused_says_why(self) -> None:
        for intent in self.singles():
            found = attempt(lambda intent=intent: self.adapter.effects([intent], self.answered([intent], refused=[0])))  # type: ignore[misc]
            fault = found if isinstance(found, Fault) else found[0].fault

            assert fault is not None
            assert fault.category in (Category.VALIDATION, Category.BUSINESS)

    @pytest.mark.parametrize("status", [401, 403, 409, 422, 429, 500])
    def test_an_answer_that_refuses_the_whole_is_raised(self, status: int) -> None:
        for intents in self.parcels():
            with pytest.raises(Fault) as caught:
                self.adapter.effects(intents, self.error(status))

            assert caught.value.category == STATUSES.get(status, Category.TIMEOUT)

    @pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
    def test_an_answer_that_cannot_be_read_tells_of_no_effect(self, body: bytes) -> None:
        for intents in self.parcels():
            with pytest.raises(Fault) as caught:
                self.adapter.effects(intents, answer(body))

            assert caught.value.category == Category.CONTRACT

    def test_after_a_timeout_behind_the_effect_it_is_found(self) -> None:
        for intent in self.singles():
            _, effect = self.adapter.find_effect(self.access, FakeTransport(self.world([intent], done=True)), intent)

            assert isinstance(effect, Effect)
            assert effect.external_id
            assert self.adapter.shows(intent, effect.obj, {})

    def test_after_a_timeout_before_the_effect_none_is_found(self) -> None:
        for intent in self.singles():
            _, effect = self.adapter.find_effect(self.access, FakeTransport(self.world([intent], done=False)), intent)

            assert effect is None

    def test_what_another_command_made_is_not_taken_for_it(self) -> None:
        for intent in self.singles():
            if self.adapter.actions[intent.action].creates:
                other = replace(intent, operation_id="op-of-another")
                transport = FakeTransport(self.world([other], done=True))

                assert self.adapter.find_effect(self.access, transport, intent)[1] is None

    def test_what_is_found_points_to_where_it_lies(self) -> None:
        for intent in self.singles():
            response, effect = self.adapter.find_effect(
                self.access, FakeTransport(self.world([intent], done=True)), intent
            )

            assert effect is not None
            assert at(effect.path, json.loads(response.body)) == effect.obj

    def test_looking_for_an_effect_raises_what_the_answer_means(self) -> None:
        for intent in self.singles():
            for transport in (silent(), always(self.error(401)), always(self.error(429)), always(self.error(500))):
                with pytest.raises(Fault):
                    self.adapter.find_effect(self.access, transport, intent)

    def test_an_object_without_our_mark_carries_no_operation_id(self) -> None:
        for stream in self.adapter.streams:
            assert self.adapter.operation_of(stream.resource, {}) == ""
