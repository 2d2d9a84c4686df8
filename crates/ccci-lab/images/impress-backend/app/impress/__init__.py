"""The project: settings, routes and the two programs."""

from .celery_app import app as celery_app

__all__ = ["celery_app"]
