"""The API, as far as the lab needs it."""

import re
import uuid
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.exceptions import NotAuthenticated, PermissionDenied, ValidationError
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer, SerializerMethodField
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from . import storage
from .content_api import CONTENT_FIELDS, ContentActions
from .models import Document
from .tasks import index_title

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MEDIA = re.compile(rf"/media/(?P<key>(?P<pk>{UUID})/attachments/{UUID}(?:\.[0-9a-z]{{1,10}})?)")
MAX_ATTACHMENT = 10 * 1024 * 1024


class ConfigView(APIView):
    """What the frontend has to know before anybody logs in."""

    authentication_classes = []

    def get(self, _request):
        names = ("ENVIRONMENT", "RELEASE", "MEDIA_BASE_URL", "COLLABORATION_WS_URL")
        return Response({name: getattr(settings, name) for name in names})


class MeView(APIView):
    """Who is logged in."""

    permission_classes = [IsAuthenticated]

    def get(self, request):
        user = request.user
        return Response({"id": str(user.pk), "email": user.email, "full_name": user.name, "short_name": None})


class DocumentPermission(BasePermission):
    """An ability of the document's for each action on it; lists and new documents are for whoever is logged in."""

    def has_permission(self, request, view):
        return view.action not in ("list", "create") or request.user.is_authenticated

    def has_object_permission(self, request, view, obj):
        if obj.abilities(request.user).get(view.ability()):
            return True
        if not request.user.is_authenticated:
            raise NotAuthenticated
        return False


class DocumentSerializer(ModelSerializer):
    """A document as the API shows it."""

    abilities = SerializerMethodField()

    class Meta:
        model = Document
        fields = [
            "id", "title", "title_index", "link_reach", "created_at", "updated_at", "creator", "abilities",
            *CONTENT_FIELDS,
        ]
        read_only_fields = ["id", "title_index", "created_at", "updated_at", "creator"]

    def get_abilities(self, document):
        return document.abilities(self.context["request"].user)


class DocumentViewSet(ContentActions, ModelViewSet):
    """The documents."""

    serializer_class = DocumentSerializer
    permission_classes = [DocumentPermission]

    def get_queryset(self):
        documents = Document.objects.filter(deleted_at=None)
        return documents.filter(creator=self.request.user) if self.action == "list" else documents

    def ability(self):
        """The ability that the action asks for."""
        if self.action == "content" and self.request.method != "GET":
            return "update"
        return self.action

    def perform_create(self, serializer):
        self._index(serializer.save(creator=self.request.user))

    def perform_update(self, serializer):
        before = serializer.instance.title
        document = serializer.save()
        if document.title != before:
            self._index(document)

    def perform_destroy(self, instance):
        Document.objects.filter(pk=instance.pk).update(deleted_at=timezone.now())

    @staticmethod
    def _index(document):
        transaction.on_commit(lambda: index_title.delay(str(document.pk)))

    @action(detail=True, methods=["post"], url_path="attachment-upload")
    def attachment_upload(self, request, pk=None):
        """Stores a file beside the document and tells where it can be had."""
        document, file = self.get_object(), request.FILES.get("file")
        if file is None or file.size > MAX_ATTACHMENT:
            raise ValidationError({"file": f"a file of at most {MAX_ATTACHMENT} bytes is needed"})
        suffix = PurePosixPath(file.name).suffix.lower()
        suffix = suffix if re.fullmatch(r"\.[0-9a-z]{1,10}", suffix) else ""
        key = f"{document.pk}/attachments/{uuid.uuid4()}{suffix}"
        storage.write(key, file.read(), file.content_type or "application/octet-stream")
        return Response({"file": f"/media/{key}"}, status=201)

    @action(detail=False, methods=["get"], url_path="media-auth")
    def media_auth(self, request):
        """Asked by nginx before it fetches an attachment: the headers that the store wants, or 403."""
        path = urlsplit(request.headers.get("X-Original-URL", "")).path
        match = MEDIA.fullmatch(path)
        document = match and self.get_queryset().filter(pk=match["pk"]).first()
        if not document or not document.abilities(request.user)["media_auth"]:
            raise PermissionDenied
        return Response("authorized", headers=storage.signed_headers(match["key"]))
