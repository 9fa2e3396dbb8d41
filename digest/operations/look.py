"""How django-unfold looks and what its sidebar offers: settings.UNFOLD.

Colours are the design system's (digest/static/paperboy/tokens.css) on unfold's scales: `base` from wash to
ink, `primary` is the pen, 600 on light pages and 500 on dark ones. Settings import this, so it imports
nothing of ours.
"""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

_BASE = {
    "50": "#f3f3ef",
    "100": "#ebebe6",
    "200": "#dcddd7",
    "300": "#b8bcc1",
    "400": "#989da4",
    "500": "#666b72",
    "600": "#4c5157",
    "700": "#3b4147",
    "800": "#30353a",
    "900": "#121416",
    "950": "#0c0e0f",
}
_PEN = {
    "50": "#f4f7fe",
    "100": "#e9eefb",
    "200": "#c3d2ff",
    "300": "#b4c7ff",
    "400": "#a6bdff",
    "500": "#a6bdff",
    "600": "#1b46b4",
    "700": "#15378f",
    "800": "#122c70",
    "900": "#1e2842",
    "950": "#10162a",
}
_SECTIONS = (
    ("Overview", "admin:index"),
    ("Editions", "admin:digest_edition_changelist"),
    ("Deliveries", "admin:subscriptions_delivery_changelist"),
    ("Subscribers", "admin:subscriptions_subscriber_changelist"),
    ("Topics", "admin:subscriptions_topic_changelist"),
    ("Papers", "admin:digest_paper_changelist"),
    ("Merges", "admin:digest_merge_changelist"),
    ("AI texts", "admin:digest_aitext_changelist"),
    ("AI spending", "admin:digest_aispending_changelist"),
    ("Sources", "admin:digest_source_changelist"),
    ("Alarms", "admin:digest_alarm_changelist"),
    ("Batches", "admin:digest_batch_changelist"),
    ("Set aside", "admin:digest_setaside_changelist"),
    ("Suppressions", "admin:subscriptions_suppression_changelist"),
    ("Notices", "admin:subscriptions_notice_changelist"),
    ("Users", "admin:auth_user_changelist"),
)


def _stylesheet(name: str) -> Any:
    return lambda request: static(f"paperboy/{name}.css")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Paperboy admin",
    "SITE_HEADER": "Paperboy",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("paperboy/favicon.svg")}
    ],
    "BORDER_RADIUS": "3px",
    "COLORS": {"base": _BASE, "primary": _PEN},
    "STYLES": [_stylesheet(name) for name in ("tokens", "paperboy", "admin")],
    "DASHBOARD_CALLBACK": "digest.operations.dashboard.add_overview",
    "SHOW_HISTORY": False,
    "SIDEBAR": {
        "navigation": [
            {"items": [{"title": title, "link": reverse_lazy(name)} for title, name in _SECTIONS]}
        ],
    },
}
