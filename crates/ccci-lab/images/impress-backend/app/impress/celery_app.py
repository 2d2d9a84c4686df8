"""The worker's application. While it lives and reaches its broker, it touches a file, which the health check reads."""

import os
from pathlib import Path

from celery import Celery
from celery.signals import heartbeat_sent, worker_ready

ALIVE = Path(os.environ.get("CELERY_ALIVE_FILE", "/tmp/celery-alive"))

app = Celery("impress")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
@heartbeat_sent.connect
def touch(**_kwargs):
    ALIVE.touch()
