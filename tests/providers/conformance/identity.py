"""Who an adapter is, and that its words lead to ours."""

from integrations.boundary.mapping import apply
from integrations.canonical import KINDS
from tests.providers.conformance.provider import Provider


class IdentityRules(Provider):
    """Identity, schemas, status tables and the mapping."""

    def test_it_says_who_it_is(self) -> None:
        adapter = self.adapter
        assert adapter.slug.isidentifier()
        assert type(adapter).__module__.startswith(f"integrations.providers.{adapter.slug}.")
        assert adapter.title
        assert adapter.api_version
        assert adapter.sensitive_fields

    def test_its_settings_are_complete_and_describe_themselves(self) -> None:
        self.adapter.settings_schema.model_validate(self.access.settings.model_dump())

        assert "properties" in self.adapter.settings_schema.model_json_schema()

    def test_its_secrets_say_how_they_are_proved(self) -> None:
        assert {spec.verified_by for spec in self.adapter.secrets} <= {"call", "delivery"}
        assert all(spec.title and spec.hint for spec in self.adapter.secrets)
        assert len({spec.name for spec in self.adapter.secrets}) == len(self.adapter.secrets)

    def test_its_streams_lead_to_kinds(self) -> None:
        for stream in self.adapter.streams:
            assert stream.change_log == (stream.kind == "")
            assert stream.change_log or stream.kind in KINDS
            assert 0 < stream.every <= stream.fresh_within
            assert stream.together >= 1

    def test_its_status_tables_lead_to_states(self) -> None:
        kinds = {stream.resource: stream.kind for stream in self.adapter.streams}

        for resource, table in self.adapter.statuses.items():
            assert set(table.values()) <= set(KINDS[kinds[resource]].states)

    def test_its_mapping_covers_its_streams(self) -> None:
        document = self.document()

        for stream in self.adapter.streams:
            if not stream.change_log:
                assert document.kind_of(stream.resource) == stream.kind

    def test_every_delivery_maps(self) -> None:
        document = self.document()

        for body in self.deliveries().values():
            item = self.read(body)
            if (item.obj or item.deleted) and not item.ignored:
                assert apply(document, item.resource, item.obj, deleted=item.deleted).state
