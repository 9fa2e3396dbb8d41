"""One settings module; each value comes from one environment variable, with a default that works on a laptop.

`.env.example` lists them all. `digest.checks` refuses what production must not run with.
"""

import hashlib
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE, NONE, SELF
from kombu import Queue

from digest import embedded
from digest.operations.look import UNFOLD  # noqa: F401  read by django-unfold

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
if (BASE_DIR / ".env").is_file():
    environ.Env.read_env(BASE_DIR / ".env")

# Never inferred: only `production` refuses default secrets, an empty postal address and an http site.
ENVIRONMENT = env.str("ENVIRONMENT", "") or "development"
DEBUG = False  # error pages are our own in development too; a reader never sees a traceback
VAR_DIR = Path(env.str("VAR_DIR", "") or BASE_DIR / "var").resolve()

INSECURE_SECRET_KEY = "development-only-" + hashlib.sha256(str(BASE_DIR).encode()).hexdigest()
SECRET_KEY = env.str("SECRET_KEY", "") or INSECURE_SECRET_KEY
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

# Commands beside a running `manage.py up` write the links of that one, whatever port it was given.
PORT = env.int("PORT", 0) or embedded.web_port(VAR_DIR) or 8000
SITE_URL = (env.str("SITE_URL", "") or f"http://127.0.0.1:{PORT}").rstrip("/")
# This machine's own names always: health checks inside a container ask there.
ALLOWED_HOSTS = [
    *(env.list("ALLOWED_HOSTS", default=[]) or [urlsplit(SITE_URL).hostname or ""]),
    "localhost",
    "127.0.0.1",
    "[::1]",
]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

# --- services -----------------------------------------------------------------------------------
# Unset addresses mean the bundled services under VAR_DIR; see digest/embedded.py.
DATABASE_URL = env.str("DATABASE_URL", "")
REDIS_URL = env.str("REDIS_URL", "")
BUNDLED = {
    name for name, url in (("postgres", DATABASE_URL), ("redis", REDIS_URL)) if not url
}  # the services that this installation runs itself

DATABASES = {
    "default": {
        **environ.Env.db_url_config(DATABASE_URL or embedded.database_url(VAR_DIR)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL or embedded.redis_url(VAR_DIR),
        "KEY_PREFIX": "paperboy",
        # Somebody waits for a page: where Redis does not answer, it is shown without counting.
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "") or REDIS_URL or embedded.broker_url(VAR_DIR)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False  # the row is the truth; a lost task is poked again a minute later
CELERY_TASK_TIME_LIMIT = 150
CELERY_TASK_SOFT_TIME_LIMIT = 120
# Somebody waits for a confirmation: notices have a queue of their own, and a worker that sends nothing else.
# Enrichment has one too, since a language model may take a minute to answer: no send waits behind it.
# A worker that is not told otherwise takes from all.
CELERY_TASK_QUEUES = [Queue("celery"), Queue("notices"), Queue("enrichment")]
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_ROUTES = {
    "subscriptions.tasks.send_*": {"queue": "notices"},
    "digest.tasks.write_ai_texts": {"queue": "enrichment"},
    "digest.tasks.refresh_citations": {"queue": "enrichment"},
    "digest.tasks.judge_papers": {"queue": "enrichment"},
    "digest.tasks.encode_papers": {"queue": "enrichment"},
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 30, "socket_connect_timeout": 10}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "run" / "beat-schedule")
# A poke that waited longer than a minute has been poked again meanwhile.
CELERY_BEAT_SCHEDULE = {
    "send due notices": {
        "task": "subscriptions.tasks.send_due",
        "schedule": 15.0,
        "options": {"expires": 60},
    },
    "fetch what is due": {"task": "digest.tasks.fetch_due", "schedule": 60.0, "options": {"expires": 60}},
    "look up papers at arXiv": {
        "task": "digest.tasks.look_up_due",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "open and compose editions": {
        "task": "digest.tasks.compose_due",
        "schedule": 15.0,  # who has just confirmed gets the latest edition within the minute
        "options": {"expires": 60},
    },
    "deliver what is due": {"task": "digest.tasks.deliver_due", "schedule": 20.0, "options": {"expires": 60}},
    "learn from opinions": {
        "task": "digest.tasks.learn_from_opinions",
        "schedule": 600.0,  # until then, the reader's examples do without a model of their own
        "options": {"expires": 600},
    },
    "tend the space of words": {
        "task": "digest.tasks.tend_space",
        "schedule": 1800.0,
        "options": {"expires": 1800},
    },
    "tend pauses": {"task": "subscriptions.tasks.tend", "schedule": 600.0, "options": {"expires": 600}},
    "sweep": {"task": "digest.tasks.sweep", "schedule": 60.0, "options": {"expires": 60}},
}

# --- mail ---------------------------------------------------------------------------------------
EMAIL_URL = env.str("EMAIL_URL", "")  # empty: the local mail catcher of `make run`
if not EMAIL_URL and ENVIRONMENT == "development":
    BUNDLED.add("catcher")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "") or "Paperboy <paperboy@localhost.localdomain>"
MAIL_DOMAIN = parseaddr(DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]  # Message-ID, VERP, List-Id
POSTAL_ADDRESS = env.str("POSTAL_ADDRESS", "")
EMAIL_TIMEOUT = 30  # seconds for each step of an SMTP conversation
UNCERTAIN_POLICY = env.str("UNCERTAIN_POLICY", "") or "hold"  # hold | resend
MAX_RATE = float(env.str("MAX_RATE", "") or 0)  # messages a second for this installation; 0: none

# --- sources ------------------------------------------------------------------------------------
HUGGINGFACE_URL = (env.str("HUGGINGFACE_URL", "") or "https://huggingface.co").rstrip("/")
ARXIV_RSS_URL = (env.str("ARXIV_RSS_URL", "") or "https://rss.arxiv.org").rstrip("/")
ARXIV_OAI_URL = (env.str("ARXIV_OAI_URL", "") or "https://oaipmh.arxiv.org/oai").rstrip("/")
ARXIV_API_URL = (env.str("ARXIV_API_URL", "") or "https://export.arxiv.org/api/query").rstrip("/")
# Feeds are typed by people and may not lead into private networks; these hosts may (host or host:port).
TRUSTED_FEED_HOSTS = env.list("TRUSTED_FEED_HOSTS", default=[])
CONTACT = env.str("CONTACT", "") or parseaddr(DEFAULT_FROM_EMAIL)[1]  # in the User-Agent sent to sources

# --- the ranker's extras: optional ----------------------------------------------------------------
SEMANTIC_MODEL = env.str("SEMANTIC_MODEL", "") or "off"  # off | minilm | multilingual: an installed wheel
if SEMANTIC_MODEL != "off":
    CELERY_BEAT_SCHEDULE["encode papers"] = {
        "task": "digest.tasks.encode_papers",
        "schedule": 300.0,
        "options": {"expires": 300},
    }

# --- enrichment: optional, and never waited for ---------------------------------------------------
# Any OpenAI-compatible endpoint, such as https://llm.example.org/v1. Empty: no AI text but the sources' own.
LLM_URL = env.str("LLM_URL", "").rstrip("/")
LLM_KEY = env.str("LLM_KEY", "")
LLM_MODEL = env.str("LLM_MODEL", "")
LLM_DAILY_REQUESTS = env.int("LLM_DAILY_REQUESTS", 1_000)  # the day's budget, UTC
LLM_JUDGE = env.bool("LLM_JUDGE", False)  # may also grade a topic's best papers; half of the budget at most
SEMANTIC_SCHOLAR_URL = env.str("SEMANTIC_SCHOLAR_URL", "").rstrip("/")  # empty: no citations
SEMANTIC_SCHOLAR_KEY = env.str("SEMANTIC_SCHOLAR_KEY", "")
# Poked only where it is on: nobody may listen to its queue otherwise.
if LLM_URL:
    CELERY_BEAT_SCHEDULE["write AI texts"] = {
        "task": "digest.tasks.write_ai_texts",
        "schedule": 120.0,
        "options": {"expires": 120},
    }
if LLM_URL and LLM_JUDGE:
    CELERY_BEAT_SCHEDULE["judge papers"] = {
        "task": "digest.tasks.judge_papers",
        "schedule": 900.0,
        "options": {"expires": 900},
    }
if SEMANTIC_SCHOLAR_URL:
    CELERY_BEAT_SCHEDULE["refresh citations"] = {
        "task": "digest.tasks.refresh_citations",
        "schedule": 600.0,
        "options": {"expires": 600},
    }

# --- Django -------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "subscriptions.apps.SubscriptionsConfig",
    "digest.apps.DigestConfig",
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
    "digest.operations.csp.ContentSecurityPolicyMiddleware",
]
ROOT_URLCONF = "digest.urls"
WSGI_APPLICATION = "digest.wsgi.application"
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
                "django.template.context_processors.i18n",
                "csp.context_processors.nonce",
                "digest.web.context.site",
            ],
        },
    }
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = ["digest.formats"]  # days and times of the admin's lists
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
# Only where files are collected: whitenoise warns of a folder that is not there.
STATIC_ROOT = BASE_DIR / "staticfiles" if ENVIRONMENT == "production" else None
STORAGES = {
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if ENVIRONMENT == "production"
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    }
}
WHITENOISE_USE_FINDERS = ENVIRONMENT != "production"

# Addresses hold signed tokens, so no other site is told them. Not "no-referrer": with it browsers send
# "Origin: null" with our own forms, which the CSRF check refuses.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE_URL.startswith("https:")
X_FRAME_OPTIONS = "DENY"
# Public pages load nothing from elsewhere and hold no inline style, script or handler. The admin needs more
# and has its own policy.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "WARNING")},
    "loggers": {name: {"level": env.str("LOG_LEVEL", "INFO")} for name in ("digest", "subscriptions")},
}
