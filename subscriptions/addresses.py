"""Email addresses as people type them: is it one, and if not, what is wrong with it."""

import functools
import re
import unicodedata

import email_validator

# What nearly all addresses look like; the library then has nothing to add but time.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*")
MAX_CHARACTERS = 254


class BadAddress(ValueError):
    """`str()` is a sentence for the person who typed it."""


def checked(typed: str) -> str:
    """The address, trimmed, domain in lower case. Looks at the form only: no DNS. Raises BadAddress.

    Names under .test are allowed, so that an installation can be tried without writing to strangers.
    """
    address = unicodedata.normalize("NFC", typed.strip())
    local, at, domain = address.rpartition("@")
    if not address:
        raise BadAddress("Type the address that the papers should be sent to.")
    if not at:
        raise BadAddress("This address looks incomplete: it has no @.")
    if not domain:
        raise BadAddress("This address looks incomplete: nothing after the @.")
    if not local:
        raise BadAddress("This address looks incomplete: nothing before the @.")
    if len(address) > MAX_CHARACTERS:
        raise BadAddress(f"This address has {len(address)} characters; no mail server takes more than 254.")
    if _PLAIN_LOCAL.fullmatch(local) and len(local) <= 64:
        return f"{local}@{_checked_domain(domain)}"
    return _validated(address)


@functools.lru_cache(maxsize=10_000)
def _checked_domain(domain: str) -> str:
    return _validated(f"somebody@{domain}").partition("@")[2]


def _validated(address: str) -> str:
    try:
        # Strict: at most 64 characters before the @ (RFC 5321), or servers refuse it.
        valid = email_validator.validate_email(
            address, check_deliverability=False, test_environment=True, strict=True
        )
    except email_validator.EmailNotValidError as error:
        raise BadAddress(f"This is not an email address: {_as_clause(str(error))}") from error
    return valid.normalized


def _as_clause(message: str) -> str:
    return message[:1].lower() + message[1:]
