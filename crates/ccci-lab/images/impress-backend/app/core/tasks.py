"""What the worker does."""

import re

from celery import shared_task


@shared_task
def index_title(document_id):
    """Keeps the words of the document's title where a search would look for them."""
    from .models import Document

    document = Document.objects.filter(pk=document_id).first()
    if document is not None:
        words = sorted(set(re.findall(r"\w+", document.title.casefold())))
        Document.objects.filter(pk=document_id, title=document.title).update(title_index=words)
