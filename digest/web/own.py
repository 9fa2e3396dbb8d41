"""A digest as its reader got it, for a browser."""

from csp.constants import NONE, UNSAFE_INLINE
from csp.decorators import csp
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from digest.editions.assemble import Assembler
from digest.models import Digest, Edition
from subscriptions import tokens

# The mail's styles stand on its elements and in its head; it holds no script, form or picture.
_MAIL = {
    "default-src": [NONE],
    "style-src": [UNSAFE_INLINE],
    "frame-ancestors": [NONE],
    "form-action": [NONE],
}


@require_safe
@csp(_MAIL)  # type: ignore[arg-type]  # its annotation knows only views without arguments
def digest(request: HttpRequest, token: str) -> HttpResponse:
    """View in browser. Mails are forwarded, so this page shows the papers and no link that could act."""
    try:
        delivery_id = tokens.read_digest(token)
    except tokens.BadToken as error:
        raise Http404("This link is damaged. Copy the whole of it from the mail.") from error
    found = Digest.objects.filter(pk=delivery_id).first()
    if found is None:
        raise Http404("This digest is no longer kept.")
    edition = Edition.objects.select_related("mailing").get(pk=found.edition_id)
    response = HttpResponse(Assembler(edition).page(found))
    response["X-Robots-Tag"] = "noindex"
    add_never_cache_headers(response)
    return response
