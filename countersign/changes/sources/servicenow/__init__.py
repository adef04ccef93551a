"""Change requests of ServiceNow, from exports of `change_request` and of `sysapproval_approver`.

`source` reads the two files to items, `rows` knows the shapes of an export, `change` and `approvals` say what a row
means. What a record says only after the change is closed (`sys_updated_on`, the journals) is left out, so that a later
export of a closed change gives the same payload.
"""

from countersign.changes.sources.servicenow.source import ServicenowSource

__all__ = ["ServicenowSource"]
