from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        """Make the Celery application known to whoever wakes workers."""
        from console import celery  # noqa: F401
