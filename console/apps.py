from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        """Make the Celery application known to whoever wakes workers, and listen for sign-ins."""
        from django.contrib.auth import signals

        from console import (
            celery,  # noqa: F401
            signin,
        )

        signals.user_logged_in.connect(signin.note_sign_in, dispatch_uid="journal")
        signals.user_logged_out.connect(signin.note_sign_out, dispatch_uid="journal")
        signals.user_login_failed.connect(signin.note_refusal, dispatch_uid="journal")
