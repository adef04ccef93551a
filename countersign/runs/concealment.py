"""Words from outside live in texts of their own, so that a chain can be shown without them.

What belongs here: taking a payload apart into a skeleton and its texts, and putting it together again.
"""

from collections.abc import Mapping
from typing import Any

from countersign.errors import TamperedError

_TEXT = "$text"
_BLOB = "$blob"


def text_of_evidence(name: str) -> str:
    """The id of the text of an evidence item."""
    return f"evidence/{name}"


def conceal(payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A payload's skeleton and the texts it refers to; attachment contents become references to blobs."""
    texts: dict[str, str] = {}

    def text(name: str, value: str) -> dict[str, str]:
        texts[name] = value
        return {_TEXT: name}

    skeleton = dict(payload)
    skeleton["summary"] = text("summary", payload["summary"])
    evidence: dict[str, Any] = {}
    for name, item in payload["evidence"].items():
        label = text_of_evidence(name)
        if isinstance(item, str):
            evidence[name] = text(label, item)
            continue
        evidence[name] = {**item, "text": text(label, item["text"])}
        if "attachments" in item:
            evidence[name]["attachments"] = [_conceal_attachment(attachment) for attachment in item["attachments"]]
    skeleton["evidence"] = evidence
    if "assertions" in payload:
        skeleton["assertions"] = [
            {
                **claim,
                "text": text(f"assertion/{number}/text", claim["text"]),
                "quote": text(f"assertion/{number}/quote", claim["quote"]),
            }
            for number, claim in enumerate(payload["assertions"])
        ]
    return skeleton, texts


def _conceal_attachment(attachment: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(attachment["bytes"], str):
        return {**attachment, "bytes": {_BLOB: attachment["sha256"]}}
    return dict(attachment)


def reveal(skeleton: Any, texts: Mapping[str, str], blob: Mapping[str, str]) -> Any:
    """The payload again; `blob` gives an attachment's content as base64 by its SHA-256.

    Raises TamperedError where a text or a blob is gone.
    """
    match skeleton:
        case {"$text": str(name)} if len(skeleton) == 1:
            if name not in texts:
                raise TamperedError(f"the text {name!r} is not there; without it nothing can be performed again")
            return texts[name]
        case {"$blob": str(digest)} if len(skeleton) == 1:
            return blob[digest]
        case dict():
            return {key: reveal(value, texts, blob) for key, value in skeleton.items()}
        case list():
            return [reveal(value, texts, blob) for value in skeleton]
        case _:
            return skeleton
