"""The routes."""

from django.http import HttpResponse
from django.urls import include, path
from rest_framework.routers import DefaultRouter

from core import api

router = DefaultRouter()
router.include_root_view = False
router.register("documents", api.DocumentViewSet, basename="documents")

urlpatterns = [
    path("__lbheartbeat__", lambda _request: HttpResponse("ok")),
    path(
        "api/v1.0/",
        include(
            [
                path("config/", api.ConfigView.as_view()),
                path("users/me/", api.MeView.as_view()),
                *router.urls,
                path("", include("lasuite.oidc_login.urls")),
            ]
        ),
    ),
]
