"""`manage.py verify_journal`: compare the whole journal with its seals."""

from argparse import ArgumentParser
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management.base import BaseCommand, CommandError

from integrations.journal.keys import public_keys, public_text, read_public
from integrations.journal.verify import Verification, verify
from integrations.models import Checkpoint


class Command(BaseCommand):
    help = "Compares every sealed entry of the journal with its seal; fails where one is missing, changed or added."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--newest", type=int, help="only this many checkpoints, from the newest back")
        parser.add_argument("--key", action="append", help="the public key to trust, else the one of this machine")
        parser.add_argument("--public-key", action="store_true", help="print this machine's public key, and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["public_key"]:
            for key in public_keys():
                self.stdout.write(public_text(key))
            return
        trusted = [_key(text) for text in options["key"]] if options["key"] else None
        result = verify(newest=options["newest"], public=trusted, tell=self._tell(options["verbosity"]))
        for words in result.blind:
            self.stdout.write(self.style.WARNING(words))
        if not result.intact:
            raise CommandError(_findings(result))
        self.stdout.write(f"{result.entries:,} entries of {result.checkpoints:,} checkpoints are as they were sealed.")

    def _tell(self, verbosity: int) -> Any:
        def tell(checkpoint: Checkpoint) -> None:
            if verbosity > 1:
                self.stdout.write(f"Checkpoint {checkpoint.number:,}: {checkpoint.entries:,} entries")

        return tell


def _key(text: str) -> Ed25519PublicKey:
    try:
        return read_public(text)
    except ValueError:
        raise CommandError("This is no public key: base64 of 32 bytes is.") from None


def _findings(result: Verification) -> str:
    return "\n".join(f"Checkpoint {finding.checkpoint}: {finding.words}" for finding in result.findings)
