"""Version 5: a document's content is an object of the S3 store, under a name that follows from the document's."""

from django.db import models

from . import storage


def key(document_id):
    return f"{document_id}/file"


class WithContent(models.Model):
    """A model with a content: an update of Yjs in base64."""

    class Meta:
        abstract = True

    def read_content(self):
        return (storage.read(key(self.pk)) or b"").decode()

    def write_content(self, content):
        storage.write(key(self.pk), content.encode(), "text/plain")
