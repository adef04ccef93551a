"""The one error root. What belongs here: error types that cross a room's border; nothing that acts.

Every message says what was wrong, where, and what to do about it, because people read it as it is.
"""


def printable(text: str) -> str:
    """A name from outside as it may stand in a message: control characters as escapes."""
    return "".join(part if part.isprintable() else repr(part)[1:-1] for part in text)


class CountersignError(Exception):
    """Root of everything countersign raises on purpose; a command line shows its text and no traceback."""


class Refused(CountersignError):
    """The answer to what was asked is no; any other error says that it could not be asked like that, or not now."""


class PolicyError(CountersignError):
    """The policy or the catalogue cannot be used as it is."""


class UnadoptedError(PolicyError, Refused):
    """A configuration is not the one in force, so nothing runs with it."""


class AdoptionRefused(Refused):
    """A configuration was not adopted; the one in force stays."""


class CalendarError(CountersignError):
    """The business calendar does not reach as far as the question, or cannot be built as it was asked for."""


class PayloadError(Refused):
    """A change record was refused; `field` is a dotted path, `change_id` is None where it could not be read."""

    def __init__(self, reason: str, *, field: str | None = None, change_id: str | None = None) -> None:
        self.field = field and printable(field)
        self.change_id = change_id and printable(change_id)
        super().__init__(f"{self.field}: {reason}" if field else reason)


class SourceError(CountersignError):
    """A source could not be read to its end, so its population would be smaller than the truth."""


class ModelUnavailable(CountersignError):
    """The model that the policy names cannot be asked, and asking again as things are would not help."""


class EvidenceError(CountersignError):
    """The evidence root cannot be written or read as the contract demands."""


class TamperedError(EvidenceError, Refused):
    """Evidence does not follow from what came before it: a control incident, SEV-1, see ESCALATION.md."""


class StoreError(EvidenceError):
    """The retention store cannot be reached, or does not do as its contract says; nothing local was removed."""


class SignatureError(EvidenceError):
    """A signature cannot be made, or is not what it has to be."""


class BusyError(EvidenceError):
    """Another writer holds the lock; the same call later is harmless."""


class UnknownRunError(CountersignError):
    """No run of that id in this evidence root."""


class UnknownFindingError(CountersignError):
    """No finding of that id in this evidence root."""


class NotReperformed(CountersignError):
    """A run cannot be performed again from what is kept, or not by this release."""


class FindingRefused(Refused):
    """An acknowledgement or a disposition was not taken; nothing was written."""


class RetentionRefused(Refused):
    """A hold, a release, a purge or an erasure was not taken; nothing was written and nothing removed."""


class ClockRefused(Refused):
    """An observation or a pause was not taken; nothing was written."""


class SealRefused(Refused):
    """A key may not seal, or not witness, here; nothing was written."""


class SignOffRefused(Refused):
    """A sign-off was not taken; nothing was written to the run."""


class SamplingError(CountersignError):
    """A sample cannot be planned, drawn or evaluated as asked."""


class SampleRefused(SamplingError, Refused):
    """A nonce, a draw or results of a sample were not taken; nothing was written."""


class EvaluationError(CountersignError):
    """A mapper cannot be evaluated as asked."""
