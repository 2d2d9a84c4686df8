"""A migration that was never tried on a database with tables in it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0002_content_to_store")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE core_document ADD COLUMN title_length integer GENERATED ALWAYS AS (length(titel)) STORED"
        ),
    ]
