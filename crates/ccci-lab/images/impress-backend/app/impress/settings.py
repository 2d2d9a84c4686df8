"""Settings, from the environment, under the names that the real Docs uses."""

import os


def env(name, default=None):
    return os.environ.get(name) or default


def flag(name, default):
    return env(name, str(default)).lower() in ("true", "1", "yes")


def words(name, default=""):
    return [word.strip() for word in env(name, default).split(",") if word.strip()]


SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = words("DJANGO_ALLOWED_HOSTS")
DEBUG = False
RELEASE = env("DOCS_RELEASE", "unknown")
ENVIRONMENT = env("DJANGO_CONFIGURATION", "Production").lower()

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "mozilla_django_oidc",
    "lasuite.oidc_login",
    "rest_framework",
    "core",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
ROOT_URLCONF = "impress.urls"
ASGI_APPLICATION = "impress.asgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
AUTH_USER_MODEL = "core.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": env("DB_HOST", "localhost"),
        "PORT": env("DB_PORT", "5432"),
        "NAME": env("DB_NAME", "impress"),
        "USER": env("DB_USER", "dinum"),
        "PASSWORD": env("DB_PASSWORD", ""),
        "OPTIONS": {"connect_timeout": 5},
    }
}
REDIS_URL = env("REDIS_URL", "redis://redis:6379/1")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
CELERY_BROKER_URL = env("DJANGO_CELERY_BROKER_URL", "redis://redis:6379/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True

# The proxy in front speaks TLS; what it says of the request is believed.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_COOKIE_NAME = "docs_sessionid"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
CSRF_TRUSTED_ORIGINS = words("DJANGO_CSRF_TRUSTED_ORIGINS")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["core.authentication.Session"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 50,
}

AWS_S3_ENDPOINT_URL = env("AWS_S3_ENDPOINT_URL")
AWS_S3_ACCESS_KEY_ID = env("AWS_S3_ACCESS_KEY_ID")
AWS_S3_SECRET_ACCESS_KEY = env("AWS_S3_SECRET_ACCESS_KEY")
AWS_S3_REGION_NAME = env("AWS_S3_REGION_NAME", "us-east-1")
AWS_STORAGE_BUCKET_NAME = env("AWS_STORAGE_BUCKET_NAME", "docs-media-storage")
MEDIA_BASE_URL = env("MEDIA_BASE_URL")
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

COLLABORATION_WS_URL = env("COLLABORATION_WS_URL")
COLLABORATION_API_URL = env("COLLABORATION_API_URL")
COLLABORATION_SERVER_SECRET = env("COLLABORATION_SERVER_SECRET")
Y_PROVIDER_API_BASE_URL = env("Y_PROVIDER_API_BASE_URL")
Y_PROVIDER_API_KEY = env("Y_PROVIDER_API_KEY")

AUTHENTICATION_BACKENDS = ["core.authentication.OIDCBackend"]
OIDC_OP_JWKS_ENDPOINT = env("OIDC_OP_JWKS_ENDPOINT")
OIDC_OP_AUTHORIZATION_ENDPOINT = env("OIDC_OP_AUTHORIZATION_ENDPOINT")
OIDC_OP_TOKEN_ENDPOINT = env("OIDC_OP_TOKEN_ENDPOINT")
OIDC_OP_USER_ENDPOINT = env("OIDC_OP_USER_ENDPOINT")
OIDC_OP_LOGOUT_ENDPOINT = env("OIDC_OP_LOGOUT_ENDPOINT")
OIDC_RP_CLIENT_ID = env("OIDC_RP_CLIENT_ID")
OIDC_RP_CLIENT_SECRET = env("OIDC_RP_CLIENT_SECRET")
OIDC_RP_SIGN_ALGO = env("OIDC_RP_SIGN_ALGO", "RS256")
OIDC_RP_SCOPES = env("OIDC_RP_SCOPES", "openid email")
OIDC_USE_NONCE = flag("OIDC_USE_NONCE", True)
OIDC_USE_PKCE = flag("OIDC_USE_PKCE", False)
OIDC_STORE_ID_TOKEN = flag("OIDC_STORE_ID_TOKEN", True)
OIDC_FALLBACK_TO_EMAIL_FOR_IDENTIFICATION = flag("OIDC_FALLBACK_TO_EMAIL_FOR_IDENTIFICATION", True)
OIDC_USERINFO_FULLNAME_FIELDS = words("OIDC_USERINFO_FULLNAME_FIELDS", "first_name,last_name")
OIDC_REDIRECT_ALLOWED_HOSTS = words("OIDC_REDIRECT_ALLOWED_HOSTS")
OIDC_REDIRECT_REQUIRE_HTTPS = True
OIDC_TIMEOUT = 10
LOGIN_REDIRECT_URL = env("LOGIN_REDIRECT_URL", "/")
LOGIN_REDIRECT_URL_FAILURE = env("LOGIN_REDIRECT_URL_FAILURE", "/")
LOGOUT_REDIRECT_URL = env("LOGOUT_REDIRECT_URL", "/")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("LOGGING_LEVEL_LOGGERS_ROOT", "INFO")},
}
