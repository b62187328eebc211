"""The Celery application: its messages only wake workers, the work itself is in the database."""

import contextlib
import gc
import os

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["integrations.workflow"])
# The web sends from threads of its own, and `current_app` knows only the thread that made it.
app.set_default()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def leave_the_group(**_: object) -> None:
    """Let the worker's SIGTERM end its processes after their task: honcho sends it to the whole group."""
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def keep_what_is_loaded(**_: object) -> None:
    """Take the program itself out of garbage collection, which else walks it again and again: a fifth of the time."""
    gc.collect()
    gc.freeze()
