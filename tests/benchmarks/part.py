"""`python -m tests.benchmarks.part <name>`: one part, in a process whose environment names its database."""

import os
import sys
from importlib import import_module

import django
from django.core.management import call_command


def main(name: str) -> None:
    """Migrate, measure, print."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    call_command("migrate", verbosity=0)
    for line in import_module(f"tests.benchmarks.{name}").measure():
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
