"""Version 4: the content is a field of the document."""

CONTENT_FIELDS = ["content"]


class ContentActions:
    """Nothing beside the document itself."""
