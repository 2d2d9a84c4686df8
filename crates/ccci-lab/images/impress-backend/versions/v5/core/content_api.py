"""Version 5: the content has an end point of its own and is no longer part of the document."""

import base64
import binascii

from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

CONTENT_FIELDS = []


class ContentActions:
    """`GET|PATCH documents/<id>/content/`."""

    @action(detail=True, methods=["get", "patch"])
    def content(self, request, pk=None):
        document = self.get_object()
        if request.method == "PATCH":
            document.write_content(checked(request.data.get("content")))
            document.save(update_fields=["updated_at"])
        return Response({"id": str(document.pk), "content": document.read_content()})


def checked(content):
    """The content, if it is base64."""
    try:
        base64.b64decode(content, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise ValidationError({"content": "must be base64"}) from error
    return content
