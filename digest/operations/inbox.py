"""/inbox/: the mail that the local catcher took, for people who try Paperboy out.

The addresses exist only in development and where EMAIL_URL is unset: this page shows everybody's mail.
"""

from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from typing import cast

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace, csp_update
from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from digest import embedded
from digest.operations import mailbox

PER_PAGE = 50
# Links of a message open beside it: a page that forbids frames would stay blank inside ours.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
_SHOWN_HEADERS = ("From", "To", "Subject", "Date", "Reply-To", "List-Id", "List-Unsubscribe", "Message-ID")


@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Newest first; `?to=` keeps the messages to or from an address that contains it."""
    address = request.GET.get("to", "").strip()[:320]
    found = list(mailbox.messages(settings.VAR_DIR, address=address))
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    rows = [{"caught": caught, "subject": _subject(_parse(caught))} for caught in page.object_list]
    context = {"page": page, "rows": rows, "address": address, "kept": mailbox.KEPT}
    return render(request, "inbox/index.html", context)


@never_cache
@require_safe
@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # its types know views without arguments only
def message(request: HttpRequest, message_id: str) -> HttpResponse:
    """One message: envelope, headers, the HTML part in a frame without scripts, the text part."""
    caught = _caught(message_id)
    parsed = _parse(caught)
    text = parsed.get_body(("plain",))
    context = {
        "caught": caught,
        "subject": _subject(parsed),
        "headers": [(name, str(parsed[name])) for name in _SHOWN_HEADERS if parsed[name]],
        "all_headers": caught.raw().partition(b"\r\n\r\n")[0].decode("utf-8", "replace"),
        "text": _content(text),
        "has_html": parsed.get_body(("html",)) is not None,
        "bytes": len(caught.raw()),
        "sandbox": SANDBOX,
    }
    return render(request, "inbox/message.html", context)


@never_cache
@require_safe
@xframe_options_sameorigin
@csp_replace(  # type: ignore[arg-type]  # as above
    {
        "default-src": [NONE],
        "style-src": [UNSAFE_INLINE],  # a mail's styles are in its elements
        "img-src": ["data:", "http:", "https:"],
        "frame-ancestors": [SELF],
        "sandbox": SANDBOX.split(),  # also when opened by itself
    }
)
def html(request: HttpRequest, message_id: str) -> HttpResponse:
    """The HTML part as a mailbox would show it: no scripts, no forms, links open elsewhere."""
    part = _parse(_caught(message_id)).get_body(("html",))
    if part is None:
        raise Http404("This message has no HTML part.")
    return HttpResponse(_with_base(_content(part)))


@never_cache
@require_safe
def raw(request: HttpRequest, message_id: str) -> HttpResponse:
    """The message byte for byte, as a file."""
    content = _caught(message_id).raw()
    disposition = {"Content-Disposition": f'attachment; filename="{message_id}.eml"'}
    return HttpResponse(content, content_type="message/rfc822", headers=disposition)


def _caught(message_id: str) -> mailbox.Caught:
    try:
        return mailbox.message(settings.VAR_DIR, message_id)
    except mailbox.NoSuchMessage as error:
        raise Http404(
            f"There is no message {message_id}; the inbox keeps the newest {mailbox.KEPT}."
        ) from error


def _parse(caught: mailbox.Caught) -> EmailMessage:
    try:
        return message_from_bytes(caught.raw(), policy=policy.default)
    except mailbox.NoSuchMessage as error:
        raise Http404("This message has just been removed; the inbox keeps the newest.") from error


def _subject(parsed: EmailMessage) -> str:
    return str(parsed["Subject"] or "(no subject)")


def _content(part: MIMEPart | None) -> str:
    """The decoded text of a part; bytes that do not fit its charset become replacement signs."""
    if part is None:
        return ""
    content = cast(bytes, part.get_payload(decode=True))
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # a charset nobody knows
        return content.decode("utf-8", "replace")


def _with_base(document: str) -> str:
    """The same document, its links opening in a new tab unless they say otherwise."""
    base = '<base target="_blank">'
    start = document.lower().find("<head")
    end = document.find(">", start)
    if start < 0 or end < 0:
        return base + document
    return document[: end + 1] + base + document[end + 1 :]


urlpatterns: list[URLPattern] = []
if embedded.CATCHER in settings.BUNDLED:
    urlpatterns = [
        path("inbox/", index, name="inbox"),
        path("inbox/<str:message_id>/", message, name="inbox-message"),
        path("inbox/<str:message_id>/html/", html, name="inbox-html"),
        path("inbox/<str:message_id>/raw/", raw, name="inbox-raw"),
    ]
