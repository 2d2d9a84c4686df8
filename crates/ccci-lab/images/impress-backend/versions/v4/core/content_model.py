"""Version 4: a document's content is a column beside its title."""

from django.db import models


class WithContent(models.Model):
    """A model with a content: an update of Yjs in base64."""

    content = models.TextField(blank=True, default="")

    class Meta:
        abstract = True
