"""Users and their documents."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from .content_model import WithContent


class User(AbstractBaseUser):
    """Somebody whom the OIDC provider knows."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sub = models.CharField(max_length=255, unique=True, null=True)
    name = models.CharField(max_length=255, null=True, blank=True)
    email = models.EmailField(null=True, blank=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "sub"


class Document(WithContent):
    """A document. What `title_index` holds is made from the title by the worker."""

    class Reach(models.TextChoices):
        """Who may read by knowing the link."""

        RESTRICTED = "restricted"
        AUTHENTICATED = "authenticated"
        PUBLIC = "public"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    creator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="documents")
    title = models.CharField(max_length=255, blank=True)
    title_index = models.JSONField(null=True, editable=False)
    link_reach = models.CharField(max_length=20, choices=Reach.choices, default=Reach.RESTRICTED)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-updated_at"]

    def abilities(self, user):
        """What this user, who may be anonymous, may do."""
        own = user.is_authenticated and self.creator_id == user.pk
        linked = self.link_reach == self.Reach.PUBLIC
        linked |= self.link_reach == self.Reach.AUTHENTICATED and user.is_authenticated
        read = own or linked
        return {
            "retrieve": read,
            "content": read,
            "media_auth": read,
            "collaboration_auth": read,
            "update": own,
            "partial_update": own,
            "attachment_upload": own,
            "destroy": own,
        }
