"""Addresses of the public pages; design.md, "Addresses", lists those that others rely on."""

from datetime import date

from django.urls import URLPattern, URLResolver, path, register_converter

from digest.web import archive, catalogue, feedback, filters, own, paper, preview, rankings, topics

FIRST_YEAR = 1970  # nobody listed papers before; and near year 1 there are no 60 days to look back on
LAST_YEAR = 2999  # near year 9999 there is no day after


class DayConverter:
    """2026-08-21; what is no day of the calendar, or of no year that papers are listed in, is no address."""

    regex = r"\d{4}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        day = date.fromisoformat(value)
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise ValueError(f"{day} lies outside the years {FIRST_YEAR} to {LAST_YEAR}.")
        return day

    def to_url(self, value: date) -> str:
        return value.isoformat()


register_converter(DayConverter, "day")

urlpatterns: list[URLPattern | URLResolver] = [
    path("papers/", archive.latest, name="papers"),
    path("papers/<day:day>/", archive.day, name="papers-day"),
    path("papers/week/", rankings.latest, {"kind": "week"}, name="papers-latest-week"),
    path("papers/month/", rankings.latest, {"kind": "month"}, name="papers-latest-month"),
    path("papers/week/<str:name>/", rankings.week, name="papers-week"),
    path("papers/month/<str:name>/", rankings.month, name="papers-month"),
    path("paper/<path:public_id>/", paper.paper, name="paper"),
    path("topics/", catalogue.catalogue, name="topics"),
    path("topics/<slug:slug>/", topics.topic, name="topic"),
    path("digest/<str:token>/", own.digest, name="own-digest"),
    path("preferences/<str:token>/paper/<int:paper_id>/", feedback.paper_and_you, name="paper-and-you"),
    path("preferences/<str:token>/learnt/", feedback.learnt, name="learnt"),
    path("preview/", preview.preview, name="preview"),
    path("filters/", filters.reference, name="filters"),
]
