"""Moves the database to this version, one process at a time: whoever comes second waits and finds it done."""

import time

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

LOCK = 0x0D0C5
PATIENCE = 60


class Command(BaseCommand):
    help = "Applies the migrations behind a lock of the database."

    def handle(self, *args, **options):
        begin = time.monotonic()
        self.wait_for_database(begin + PATIENCE)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            call_command("migrate", interactive=False, verbosity=1)
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        self.stdout.write(f"backend: the database is ready after {time.monotonic() - begin:.1f} s")

    def wait_for_database(self, deadline):
        """A database on its first start needs a moment."""
        while True:
            try:
                return connection.ensure_connection()
            except OperationalError as error:
                if time.monotonic() > deadline:
                    raise CommandError(f"no database after {PATIENCE} s: {error}") from error
                time.sleep(0.5)
