"""A migration that takes its time, as one that rewrites a large table does: here it waits instead."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0002_content_to_store")]
    operations = [migrations.RunSQL("SELECT pg_sleep(12)", migrations.RunSQL.noop)]
