"""Who asks."""

from lasuite.oidc_login.backends import OIDCAuthenticationBackend
from rest_framework.authentication import SessionAuthentication


class Session(SessionAuthentication):
    """Django's session; a header in the answer makes it 401, not 403, for somebody who is not logged in."""

    def authenticate_header(self, request):
        return "Session"


class OIDCBackend(OIDCAuthenticationBackend):
    """The login of django-lasuite, as it is."""
