from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        """Make the Celery application known to whoever wakes workers, listen for sign-ins, new passwords and powers."""
        from allauth.account import signals as account
        from django.apps import apps
        from django.contrib.auth import signals
        from django.db.models.signals import post_migrate

        from console import (
            access,
            celery,  # noqa: F401
            signin,
        )

        signals.user_logged_in.connect(signin.note_sign_in, dispatch_uid="journal")
        signals.user_logged_out.connect(signin.note_sign_out, dispatch_uid="journal")
        signals.user_login_failed.connect(signin.note_refusal, dispatch_uid="journal")
        for changed in (account.password_changed, account.password_set, account.password_reset):
            changed.connect(signin.revoke_tokens, dispatch_uid="tokens")
        # guardian comes after us: by then the permissions of all our models are there.
        post_migrate.connect(access.follow_the_table, sender=apps.get_app_config("guardian"), dispatch_uid="powers")
