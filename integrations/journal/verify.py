"""Verifying the journal against its seals, in words that say what was done to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import transaction

from integrations.journal import keys
from integrations.journal.actor import Actor
from integrations.journal.seal import Head, digest_of, read_head, signed_text
from integrations.journal.write import Entry, write
from integrations.models import Checkpoint, JournalEntry, Lane, Tenant


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was sealed."""

    checkpoint: int
    sealed_at: datetime | None
    words: str


@dataclass
class Verification:
    """What was compared, and everything found wrong in it."""

    checkpoints: int = 0
    entries: int = 0
    first: int = 0
    last: int = 0
    sealed_at: datetime | None = None
    findings: list[Finding] = field(default_factory=list)
    #: What could not be told, in words.
    blind: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """No entry is missing, changed or added in what was compared."""
        return not self.findings


def verify(
    *,
    newest: int | None = None,
    most_entries: int | None = None,
    public: list[Ed25519PublicKey] | None = None,
    tell: Callable[[Checkpoint], None] | None = None,
) -> Verification:
    """Recompute seals, all of them or only the `newest`, and compare.

    `most_entries` bounds the work: older checkpoints are left out once it is reached, but never the
    newest. `public` are the keys to trust, else those that are known here. `tell` is called after each
    checkpoint.
    """
    known = keys.public_keys() if public is None else public
    chosen = _chosen(newest, most_entries)
    result = Verification()
    if not known:
        result.blind.append("No public key is known here, so signatures were not checked.")
    before: Checkpoint | None = _before(chosen)
    for checkpoint in _checkpoints(chosen):
        result.findings += _compare(checkpoint, before, known)
        _count(result, checkpoint)
        before = checkpoint
        if tell:
            tell(checkpoint)
    _compare_head(result, before, read_head())
    return result


def verify_newest(tenant: Tenant, environment: str, *, actor: Actor, newest: int, most_entries: int) -> Verification:
    """Verify the newest checkpoints for a person who waits for the answer, and journal that they did."""
    result = verify(newest=newest, most_entries=most_entries)
    found = "no entry missing, changed or added" if result.intact else f"{len(result.findings)} findings"
    write(
        [
            Entry(
                tenant_id=tenant.pk,
                environment=environment,
                lane=Lane.PEOPLE,
                action="journal.verified",
                summary=f"{actor.name} verified {result.entries:,} entries: {found}",
                outcome="intact" if result.intact else "broken",
                subject_type="journal",
                subject_id=tenant.pk,
                data={
                    "first": result.first,
                    "last": result.last,
                    "entries": result.entries,
                    "findings": [f"Checkpoint {f.checkpoint}: {f.words}" for f in result.findings[:50]],
                },
                actor=actor,
            )
        ]
    )
    return result


def _chosen(newest: int | None, most_entries: int | None) -> int:
    """Return the number of the first checkpoint to compare."""
    if newest is None:
        return 0
    first, entries = 0, 0
    for number, count in Checkpoint.objects.order_by("-number").values_list("number", "entries")[:newest]:
        entries += count
        if first and most_entries is not None and entries > most_entries:
            break
        first = number
    return first


def _before(first: int) -> Checkpoint | None:
    return Checkpoint.objects.filter(number__lt=first).order_by("-number").first()


def _checkpoints(first: int) -> Iterator[Checkpoint]:
    """Read checkpoints in pages, so that no cursor is open while each is compared."""
    while page := list(Checkpoint.objects.filter(number__gte=first).order_by("number")[:500]):
        yield from page
        first = page[-1].number + 1


def _count(result: Verification, checkpoint: Checkpoint) -> None:
    result.first = result.first or checkpoint.number
    result.last, result.sealed_at = checkpoint.number, checkpoint.at
    result.checkpoints += 1
    result.entries += checkpoint.entries


def _compare(checkpoint: Checkpoint, before: Checkpoint | None, known: list[Ed25519PublicKey]) -> Iterator[Finding]:
    def finding(words: str) -> Finding:
        return Finding(checkpoint.number, checkpoint.at, words)

    yield from map(finding, _broken_chain(checkpoint, before))
    if known and not keys.fits(checkpoint.signature, signed_text(checkpoint), known):
        yield finding("Its signature does not fit: the seal itself was changed, or another key signed it.")
    with transaction.atomic():
        entries, digest = digest_of(checkpoint.from_xact, checkpoint.to_xact, checkpoint.previous)
    sealed = f"{checkpoint.entries:,} sealed {'entry' if checkpoint.entries == 1 else 'entries'}"
    if entries < checkpoint.entries:
        yield finding(f"{checkpoint.entries - entries:,} of {sealed} removed.")
    elif entries > checkpoint.entries:
        yield finding(f"{entries - checkpoint.entries:,} added to {sealed}.")
    elif digest != checkpoint.digest:
        yield finding(f"At least one of {sealed} changed.")


def _broken_chain(checkpoint: Checkpoint, before: Checkpoint | None) -> Iterator[str]:
    number, previous, start = (before.number, before.digest, before.to_xact) if before else (0, "", 0)
    if checkpoint.number != number + 1:
        missing = checkpoint.number - number - 1
        first = number + 1
        yield (
            f"Checkpoint {first} before it is missing."
            if missing == 1
            else f"Checkpoints {first} to {checkpoint.number - 1} before it are missing."
        )
    elif checkpoint.previous != previous or checkpoint.from_xact != start:
        yield "It does not continue the checkpoint before it: one of the two was replaced."


def _compare_head(result: Verification, newest: Checkpoint | None, head: Head | None) -> None:
    if head is None:
        result.blind.append(
            "The newest checkpoint is not known outside of the database here, so a cut at the end would not show."
        )
        return
    number = newest.number if newest else 0
    if head.number > number:
        result.findings.append(
            Finding(
                head.number,
                None,
                f"Sealed at {head.at} and gone: the journal ends at checkpoint {number}, what came after was cut off.",
            )
        )
    elif not Checkpoint.objects.filter(number=head.number, digest=head.digest).exists():
        result.findings.append(Finding(head.number, None, "It is another one than was sealed: it was replaced."))


def unsealed(most: int = 1000) -> int:
    """Return how many entries wait for the next seal, counted up to `most`."""
    last = Checkpoint.objects.order_by("-number").values_list("to_xact", flat=True).first()
    return JournalEntry.objects.filter(xact__gte=last or 0)[:most].count()
