"""The Django project, and everything that people and programs touch."""

from console.celery import app as celery_app

__all__ = ["celery_app"]
