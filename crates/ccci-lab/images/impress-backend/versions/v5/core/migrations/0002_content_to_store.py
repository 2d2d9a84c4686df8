"""Moves every content from its column to the S3 store. There is no way back: the column goes."""

from django.db import migrations

from core import storage
from core.content_model import key


def move(apps, _schema_editor):
    documents = apps.get_model("core", "Document").objects
    moved = 0
    for pk, content in documents.exclude(content="").values_list("pk", "content").iterator():
        storage.write(key(pk), content.encode(), "text/plain")
        moved += 1
    print(f"\nbackend: {moved} contents were moved to the store")


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [
        migrations.RunPython(move),
        migrations.RemoveField(model_name="document", name="content"),
    ]
