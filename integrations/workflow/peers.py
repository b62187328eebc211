"""Which records an adapter has to know beside one that is exported: those that belong to the same one."""

from collections.abc import Mapping, Sequence

from integrations.models import Link

Links = Mapping[int, Mapping[str, int]]


def peers_of(record_ids: set[int], path: Sequence[str], links: Links) -> dict[int, set[int]]:
    """Return, by record, the others that lead to the same one by the links of `path`.

    `links` has those of the records, and of what they lead to.
    """
    roots = {pk: root for pk in record_ids if (root := _root_of(pk, path, links)) is not None}
    leads = {root: root for root in roots.values()}
    for field in reversed(path):
        steps = Link.objects.filter(field=field, target_id__in=leads).values_list("record_id", "target_id")
        leads = {pk: leads[target] for pk, target in steps}
    together: dict[int, set[int]] = {}
    for pk, root in leads.items():
        together.setdefault(root, set()).add(pk)
    return {pk: together.get(root, set()) - {pk} for pk, root in roots.items()}


def _root_of(pk: int, path: Sequence[str], links: Links) -> int | None:
    at: int | None = pk
    for field in path:
        at = links.get(at, {}).get(field) if at is not None else None
    return at
