"""Who timestamps seals: an RFC 3161 authority and what its tokens are checked against.

What belongs here: the `timestamp` section of the policy. What does not: asking the authority (`evidence/timestamp`).
"""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from countersign.policy.section import Section

_PEM = re.compile(r"(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]+\n)+-----END CERTIFICATE-----\n)+")


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("name an address such as https://timestamp.example.com/tsr")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("holds more than an address; policy and register are no place for a password or a key")
    return url


def _certificates(text: str) -> str:
    if not _PEM.fullmatch(text):
        raise ValueError("not PEM: give the authority's root certificate, and any between, as the lines of their files")
    return text


class TimestampSpec(Section):
    """An authority: its address, and its root certificate with any between, as PEM.

    The certificate stands here and not in a file beside it, so that a token can be checked for as long as the policy
    that asked for it is kept.
    """

    url: Annotated[str, AfterValidator(_address)]
    certificate: Annotated[str, AfterValidator(_certificates)]
