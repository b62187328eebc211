"""Settings, all from the environment; see README.md for the table of variables."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("DATA_DIR", BASE_DIR / ".data")).absolute()


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for a PostgreSQL address (libpq's form, socket folders as `?host=`)."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", None) or parts.hostname or "",
        "PORT": options.pop("port", None) or parts.port or "",
        "OPTIONS": options | ({"pool": {"min_size": 1, "max_size": 8}} if os.environ.get("DATABASE_POOL") else {}),
        "CONN_MAX_AGE": 60 if os.environ.get("DATABASE_KEEP") else 0,
        "CONN_HEALTH_CHECKS": True,
    }


SECRET_KEY = os.environ.get("SECRET_KEY", "")
FIELD_KEYS = [key for key in os.environ.get("FIELD_KEYS", "").split(",") if key]
DEBUG = os.environ.get("DEBUG") == "1"
PUBLIC_URL = os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000")
IN_EARNEST = PUBLIC_URL.startswith("https://")
_PUBLIC = urlsplit(PUBLIC_URL)
#: How many reverse proxies stand in front of us; what they tell of the client and the scheme is believed.
TRUSTED_PROXIES = int(os.environ.get("TRUSTED_PROXIES", "0"))
ALLOWED_HOSTS = [
    host for host in os.environ.get("ALLOWED_HOSTS", f"127.0.0.1,localhost,[::1],{_PUBLIC.hostname}").split(",") if host
]
CSRF_TRUSTED_ORIGINS = [f"{_PUBLIC.scheme}://{_PUBLIC.netloc}"]

INSTALLED_APPS = [
    "console",
    "integrations",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "guardian",
    "pgtrigger",
    "simple_history",
    "csp",
    "rest_framework",
    "drf_spectacular",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "console.requests.RequestMiddleware",
]

ROOT_URLCONF = "console.urls"
ASGI_APPLICATION = "console.asgi.application"
WSGI_APPLICATION = "console.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.context.frame",
            ],
        },
    }
]

DATABASES = {"default": database(os.environ.get("DATABASE_URL", "postgresql://127.0.0.1/console"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "console.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
GUARDIAN_RAISE_403 = True
ANONYMOUS_USER_NAME = None

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "console.signin.ClosedSignup"
SOCIALACCOUNT_ADAPTER = "console.signin.ClosedSocialSignup"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_REQUIRED = False
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = PUBLIC_URL.startswith("http://")
#: Links that set passwords go by mail. Only a demo prints them, for whoever reads its log may use them.
_MAIL = urlsplit(os.environ.get("EMAIL_URL") or ("smtp://localhost:25" if IN_EARNEST else "console:"))
EMAIL_BACKEND = f"django.core.mail.backends.{'console' if _MAIL.scheme == 'console' else 'smtp'}.EmailBackend"
EMAIL_HOST, EMAIL_PORT = _MAIL.hostname or "localhost", _MAIL.port or (465 if _MAIL.scheme == "smtps" else 587)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_MAIL.username or ""), unquote(_MAIL.password or "")
EMAIL_USE_SSL = _MAIL.scheme == "smtps"
EMAIL_USE_TLS = _MAIL.scheme == "smtp" and bool(_MAIL.username)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = os.environ.get("EMAIL_FROM", f"console@{_PUBLIC.hostname}")

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IN_EARNEST
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31536000 if IN_EARNEST else 0
FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
#: Only for a web server that serves files itself; whitenoise finds them where they are.
STATIC_ROOT = os.environ.get("STATIC_ROOT")
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

SIMPLE_HISTORY_HISTORY_CHANGE_REASON_USE_TEXT_FIELD = True
SIMPLE_HISTORY_HISTORY_ID_USE_UUID = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["console.api.authentication.TokenAuthentication"],
    "DEFAULT_PARSER_CLASSES": ["console.api.parsers.StrictJSON"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "console.api.problems.answer",
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Integration Console",
    "DESCRIPTION": "Ask connected providers for something, once, and see what came of it.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "ENUM_NAME_OVERRIDES": {
        "OutcomeEnum": "integrations.models.Outcome",
        "WorkStateEnum": "integrations.models.WorkState",
    },
}
#: Requests that one token may send in a minute.
API_PER_MINUTE = int(os.environ.get("API_PER_MINUTE", "600"))

CELERY_BROKER_URL = os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0")
#: A page never waits for the broker: what cannot be sent at once is left to the sweeper.
CELERY_BROKER_TRANSPORT_OPTIONS = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0} | (
    {"socket_connect_timeout": 1.0} if CELERY_BROKER_URL.startswith("redis") else {}
)
CELERY_BROKER_CONNECTION_TIMEOUT = 1.0
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "wake"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat")
#: Seconds between two sweeps: the longest that a lost message can delay work.
SWEEP_SECONDS = float(os.environ.get("SWEEP_SECONDS", "5"))
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "integrations.sweep", "schedule": SWEEP_SECONDS, "options": {"expires": 30}},
    "seal": {"task": "integrations.seal_journal", "schedule": 60.0, "options": {"expires": 120}},
    "daily": {"task": "integrations.daily", "schedule": 6 * 3600.0},
}

#: Seconds. How old a webhook's signature may be; Stripe's and Standard Webhooks' own default.
WEBHOOK_TOLERANCE = 300
#: Seconds in which a webhook's body must come.
WEBHOOK_SECONDS = 30
#: Bytes. A larger webhook body is refused with 413.
WEBHOOK_LIMIT = 1024 * 1024
#: Hours for which a replaced secret still opens webhooks.
CREDENTIAL_OVERLAP_HOURS = 24
#: How long a provider may take to answer, in seconds.
PROVIDER_TIMEOUT = float(os.environ.get("PROVIDER_TIMEOUT", "20"))
#: Whether providers may be in our own network, as sandboxes are. Who connects one makes us send requests to it.
PROVIDERS_INSIDE = os.environ.get("PROVIDERS_INSIDE", "0" if IN_EARNEST else "1") == "1"
#: Seconds that a receiver of deliveries may take to answer.
OUTBOX_TIMEOUT = float(os.environ.get("OUTBOX_TIMEOUT", "15"))
#: Seconds before each try of a delivery; the last one is followed by parking. Svix's own schedule.
OUTBOX_SCHEDULE = [
    float(wait) for wait in os.environ.get("OUTBOX_SCHEDULE", "0,5,300,1800,7200,18000,36000,36000").split(",")
]
#: Whether deliveries may go into private networks, and by http in live. The cloud's metadata stays out of reach.
OUTBOX_ALLOW_PRIVATE = os.environ.get("OUTBOX_ALLOW_PRIVATE", "0") == "1"
#: Hours for which a replaced signing secret still signs, beside the new one.
SIGNING_OVERLAP_HOURS = 24
#: Seconds within which a leased piece of work must be finished or is given to another worker.
LEASE_SECONDS = float(os.environ.get("LEASE_SECONDS", "60"))
#: Base64 of 32 bytes that sign the journal's seals; several, by commas: the first signs, all verify.
#: Without it a key is made once in DATA_DIR.
JOURNAL_KEY = os.environ.get("JOURNAL_KEY", "")
#: Entries. A larger export is refused, and says how to narrow it.
EXPORT_LIMIT = int(os.environ.get("EXPORT_LIMIT", "500000"))
#: The factor on every retry wait; tests and the demo shorten it.
RETRY_SCALE = float(os.environ.get("RETRY_SCALE", "1"))

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "console.logs.Line", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
    "loggers": {
        "integrations": {"level": "INFO"},
        "console": {"level": "INFO"},
        "httpx": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
    },
}
