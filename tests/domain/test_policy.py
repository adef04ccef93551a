"""The policy and the catalogue are read strictly: what cannot be used is refused with the file and the field."""

import base64
import hashlib
import json
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import yaml

from countersign.errors import PolicyError
from countersign.policy import (
    Catalogue,
    Key,
    Policy,
    Retention,
    Span,
    Target,
    load_catalogue,
    load_configuration,
    load_policy,
)
from tests.conftest import POLICY

SHIPPED: dict[str, Any] = yaml.safe_load(POLICY.read_text(encoding="utf-8"))
CATALOGUE: dict[str, Any] = yaml.safe_load((POLICY.parent / "catalogue.yaml").read_text(encoding="utf-8"))
HOURS = {"value": 1, "unit": "hours", "owner": "process_owner", "assigned_by": "Process Owner"}
YEARS = {"value": 7, "unit": "years", "owner": "process_owner", "assigned_by": "Process Owner"}


def kept(**changes: Any) -> dict[str, Any]:
    return {"retention": {**SHIPPED["retention"], **changes}}


def written(tmp_path: Path, content: dict[str, Any]) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(PolicyError) as refusal:
        load_policy(path)
    assert str(refusal.value).startswith(f"{path}: ")
    return str(refusal.value).removeprefix(f"{path}: ")


def person(**changes: Any) -> dict[str, Any]:
    return {"id": "somebody", "name": "Some Body", **changes}


def with_people(*people: dict[str, Any]) -> dict[str, Any]:
    return {"people": [*SHIPPED["people"], *people]}


def model(**changes: Any) -> dict[str, Any]:
    base = {"adapter": "openai", "base_url": "https://models.example/v1", "model": "reader-1", "key": "MODEL_KEY"}
    return {"model": {**base, "redactions": [], **changes}}


def wording(**changes: Any) -> dict[str, Any]:
    return {"wording": {**SHIPPED["wording"], **changes}}


ED25519 = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


def signing(**changes: Any) -> dict[str, Any]:
    """A roster with somebody who has one key, with fields replaced."""
    key = {"key": ED25519, "namespace": "sign-off@countersign", "valid_after": "2026-01-01T00:00:00Z"}
    return with_people(person(keys=[{**key, **changes}]))


def delegating(*delegates: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return with_people(person(delegates=list(delegates), **changes))


def leave(to: str = "checker", since: str = "2026-11-01", until: str = "2026-11-30") -> dict[str, Any]:
    return {"to": to, "from": since, "until": until}


def system(**changes: Any) -> dict[str, Any]:
    return {**SHIPPED["systems"][0], **changes}


# name: (fields that differ from the shipped policy; None removes one), what the message begins with
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "field_missing": ({"people": None}, "people: Field required"),
    "field_unknown": ({"override": True}, "override: Extra inputs are not permitted"),
    "field_unknown_inside": (with_people(person(phone="1")), "people.10.phone: Extra inputs"),
    "nobody_on_the_roster": ({"people": []}, "people: List should have at least 1 item"),
    "version_is_a_number": ({"version": 7}, "version: Input should be a valid string"),
    "time_zone_unknown": ({"time_zone": "Mars/Olympus"}, "time_zone: 'Mars/Olympus' is not an IANA zone"),
    "role_unknown": (with_people(person(roles=["emperor"])), "people.10.roles.0: Input should be 'authoriser'"),
    "id_empty": (with_people(person(id="")), "people.10.id: String should have at least 1 character"),
    "id_twice": (with_people(person(id="Maker")), "people: 'maker' belongs to both 'maker' and 'Maker'"),
    "id_exactly_twice": (with_people(person(id="maker")), "people: two entries share one id"),
    "login_of_two": (with_people(person(logins=["EXAMPLE-maker"])), "people: 'example-maker' bel"),
    "model_without_redactions": (model(redactions=None), "model.redactions: Input should be a valid array"),
    "model_redaction_twice": (model(redactions=[{"name": "a", "pattern": "x"}] * 2), "model: redactions: two entries"),
    "model_elsewhere": (model(base_url="models.example"), "model.base_url: name an address"),
    "model_key_in_its_address": (model(base_url="https://me:sk-1@models.example"), "model.base_url: holds more than"),
    "model_key_itself": (model(key="sk-0123456789"), "model.key: String should match"),
    "model_of_nobody": (model(adapter="oracle"), "model.adapter: Input should be 'openai' or 'anthropic'"),
    "sample_expects_the_tolerable": (
        {"sample": {**SHIPPED["sample"], "expected": 0.05}}, "sample: expected: is not below `tolerable`",
    ),
    "sample_in_per_cent": ({"sample": {**SHIPPED["sample"], "confidence": 95}}, "sample.confidence: Input should be"),
    "sample_seeded_by_nobody": ({"sample": {"nonce": "never"}}, "sample.nonce: Input should be 'required' or 'opti"),
    "email_of_two": (with_people(person(emails=["Maker@example.com"])), "people: 'maker@example.com' bel"),
    "noreply_of_the_login_of_another": (
        with_people(person(emails=["7+Example-Maker@users.noreply.github.com"])), "people: 'example-maker' belongs",
    ),
    "full_width_login_of_another": (with_people(person(logins=["ｍａｋｅｒ"])), "people: 'maker' belongs to both"),
    "invisible_character": (with_people(person(logins=["ma\u200bker"])), "people.10.logins.0: holds a character that"),
    "valid_backwards": (
        with_people(person(valid_from="2026-02-01", valid_until="2026-01-31")), "people.10: somebody: valid_until lies",
    ),
    "valid_from_an_hour": (with_people(person(valid_from="2026-02-01T10:00:00Z")), "people.10.valid_from: "),
    "auditor_who_signs": (with_people(person(roles=["auditor", "approver"])), "people.10: somebody: an auditor only"),
    "observer_who_signs": (
        with_people(person(roles=["observer", "reviewer"])), "people.10: somebody: an observer checks those",
    ),
    "auditor_who_may_authorise": (
        {"unknown_systems": {"roles": ["auditor"]}}, "unknown_systems: an auditor only reads",
    ),
    "auditor_who_is_asked": (
        {"sign_off": {**SHIPPED["sign_off"], "maker_checker": "auditor"}}, "sign_off: an auditor only reads",
    ),
    "key_of_no_type": (signing(key="AAAA"), "people.10.keys.0.key: not an SSH public key: it begins with"),
    "key_with_a_comment": (signing(key=f"{ED25519} me@home"), "people.10.keys.0.key: not an SSH public key: give its"),
    "key_of_another_type": (
        signing(key=ED25519.replace("ssh-ed25519", "ssh-rsa")), "people.10.keys.0.key: not an SSH public key: it begi",
    ),
    "key_with_options": (signing(key=f"cert-authority {ED25519}"), "people.10.keys.0.key: not an SSH public key"),
    "key_that_ends_early": (
        signing(key=f"ssh-ed25519 {base64.b64encode(b'...ssh-ed25519').decode()}"), "people.10.keys.0.key: not an SSH",
    ),
    "key_for_every_namespace": (signing(namespace="*"), "people.10.keys.0.namespace: String should match"),
    "key_for_two_namespaces": (signing(namespace="a,b"), "people.10.keys.0.namespace: String should match"),
    "key_valid_without_a_zone": (signing(valid_after="2026-01-01T00:00:00"), "people.10.keys.0.valid_after: needs a"),
    "key_valid_since_a_number": (signing(valid_after=1), "people.10.keys.0.valid_after: "),
    "key_valid_backwards": (signing(valid_before="2025-01-01T00:00:00Z"), "people.10.keys.0: valid_before does not"),
    "key_of_two": (
        {"people": [*signing()["people"], {**signing()["people"][-1], "id": "another"}]}, "people: 'ssh-ed25519 AAAA",
    ),
    "delegate_who_is_nobody": (delegating(leave("ghost")), "people: somebody delegates to 'ghost', who is not on the"),
    "delegate_who_is_themself": (delegating(leave("somebody")), "people.10: somebody: delegates to themself"),
    "delegate_backwards": (delegating(leave(until="2026-10-31")), "people.10.delegates.0: until lies before from"),
    "delegate_without_an_end": (delegating({"to": "checker", "from": "2026-11-01"}), "people.10.delegates.0.until: Fi"),
    "delegates_that_overlap": (
        delegating(leave(), leave(since="2026-11-30", until="2026-12-01")), "people: somebody delegates twice to",
    ),
    "owner_who_is_nobody": (
        {"systems": [system(owner="ghost")]}, "systems: the owner of billing, 'ghost', is not on the roster",
    ),
    "template_approved_by_nobody": (
        {"templates": [{**SHIPPED["templates"][0], "approved_by": "ghost"}]}, "templates: STD-0042 was approved by",
    ),
    "team_that_nobody_is_in": (
        {"systems": [system(authority={"teams": ["ghosts"]})]}, "systems: billing: nobody on the roster is in the team",
    ),
    "team_of_unknown_systems": ({"unknown_systems": {"teams": ["ghosts"]}}, "unknown_systems: nobody on the roster"),
    "id_that_is_the_login_of_another": (with_people(person(id="example-maker")), "people: 'example-maker'"),
    "sign_off_missing": ({"sign_off": {"maker_checker": "approver"}}, "sign_off.independent_review: Field required"),
    "sign_off_unknown": (
        {"sign_off": {**SHIPPED["sign_off"], "third": "approver"}}, "sign_off.third: Extra inputs are not",
    ),
    "sign_off_by_no_role": ({"sign_off": {**SHIPPED["sign_off"], "maker_checker": "maker"}}, "sign_off.maker"),
    "pattern_no_re2": ({"bots": ["(?=x)"]}, "bots.0: not an RE2 pattern: "),
    "pattern_unclosed": (wording(approves=["("]), "wording.approves.0: not an RE2 pattern"),
    "wording_without_patterns": (wording(withholds=[]), "wording.withholds: List should have at least 1 item"),
    "trailer_means_unknown": ({"trailers": {"X": {"means": "luck"}}}, "trailers.X.means: Input should be 'approval'"),
    "target_of_zero": (
        {"emergency_approval": {**HOURS, "value": 0}}, "emergency_approval.value: Input should be greater than 0",
    ),
    "target_of_a_half": (
        {"emergency_approval": {**HOURS, "value": 1.5}}, "emergency_approval.value: Input should be a valid integer",
    ),
    "target_in_fortnights": (
        {"emergency_approval": {**HOURS, "unit": "fortnights"}}, "emergency_approval.unit: Input should be 'hours'",
    ),
    "target_assigned_by_nothing": (
        {"emergency_approval": {**HOURS, "assigned_by": ""}}, "emergency_approval.assigned_by: String should",
    ),
    "retention_in_hours": (kept(period={**YEARS, "unit": "hours"}), "retention.period.unit: Input should be 'days'"),
    "retention_of_no_time": (kept(period={**YEARS, "value": 0}), "retention.period.value: Input should be greater"),
    "fiscal_year_without_an_end": (kept(fiscal_year_end="12-32"), "retention.fiscal_year_end: day is out of range"),
    "fiscal_year_end_in_words": (kept(fiscal_year_end="December"), "retention.fiscal_year_end: String should match"),
    "store_of_no_kind": ({"retention_store": {"kind": "tape"}}, "retention_store: Input tag 'tape' found using 'kind'"),
    "store_with_a_secret": (
        {"retention_store": {"kind": "s3", "bucket": "worm", "secret_key": "x"}}, "retention_store.s3.secret_key: Ext",
    ),
    "emergency_in_business_hours": (
        {"emergency_approval": {**HOURS, "unit": "business_hours"}}, "emergency_approval: the unit must",
    ),
    "limit_negative": ({"limits": {"evidence_bytes": -1}}, "limits.evidence_bytes: Input should be greater than 0"),
    "extractor_unknown": ({"extractors": ["files"]}, "extractors.0: Input should be 'git', 'github', 'servicenow'"),
    "adapter_unknown": ({"sources": [{"name": "a", "adapter": "fax", "path": "x"}]}, "sources.0.adapter: Input should"),
    "source_name_with_a_dash": (
        {"sources": [{"name": "a-b", "adapter": "git", "path": "x"}]}, "sources.0.name: String should match pattern",
    ),
    "servicenow_without_a_zone": (
        {"sources": [{"name": "a", "adapter": "servicenow", "path": "x"}]}, "sources.0: zone: name the IANA zone",
    ),
    "servicenow_in_no_zone": (
        {"sources": [{"name": "a", "adapter": "servicenow", "path": "x", "zone": "EST5"}]}, "sources.0: zone: name",
    ),
    "source_name_twice": ({"sources": [SHIPPED["sources"][0]] * 2}, "sources: two entries share one name"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_policy_is_refused_with_file_and_field(case: str, tmp_path: Path) -> None:
    changes, says = BAD[case]
    content = {field: value for field, value in {**SHIPPED, **changes}.items() if value is not None}
    assert refused(written(tmp_path, content)).startswith(says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            with_people(person(keys=[{"key": ED25519, "namespace": "a@countersign"}])),
            "people.10.keys.0.valid_after: Field required (in the entry 'somebody')",
        ),
        ({"systems": [system(owner=1)]}, "systems.0.owner: Input should be a valid string (in the entry 'billing')"),
        (with_people({"name": "Some Body"}), "people.10.id: Field required"),
        (with_people(person(id=5)), "people.10.id: Input should be a valid string"),
        (
            with_people(person(roles=["auditor", "approver"])),
            "people.10: somebody: an auditor only reads, and can hold ",
        ),
        ({"bots": ["("]}, "bots.0: not an RE2 pattern: "),
    ],
    ids=["key", "system", "no_id", "id_of_another_type", "said_already", "no_entry"],
)
def test_the_entry_of_a_wrong_field_is_named_by_its_id(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    said = refused(written(tmp_path, {**SHIPPED, **changes}))
    assert said.startswith(says)
    assert said.count("in the entry") == says.count("in the entry")


def test_every_dead_reference_is_named_at_once(tmp_path: Path) -> None:
    content = {**SHIPPED, "systems": [system(owner="ghost")], "unknown_systems": {"teams": ["ghosts"]}}
    said = refused(written(tmp_path, content))
    assert "the owner of billing, 'ghost'" in said
    assert "team 'ghosts'" in said


def test_a_person_with_keys_validity_and_delegates_is_kept_as_it_was_read(tmp_path: Path) -> None:
    added = person(
        keys=[
            {
                "key": ED25519,
                "namespace": "seal@countersign",
                "valid_after": "2026-01-01T02:00:00+02:00",
                "valid_before": None,
            }
        ],
        teams=["operations"],
        valid_from="2026-01-01",
        delegates=[leave(), leave(since="2026-12-01", until="2026-12-01")],
    )
    content = {**SHIPPED, **with_people(added), "unknown_systems": {"teams": ["operations"]}}
    loaded = load_policy(written(tmp_path, content))
    somebody = loaded.people[-1]
    assert [somebody.valid_on(date(year, 1, 1)) for year in (2025, 2026, 9999)] == [False, True, True]
    assert somebody.keys[0].valid_after == datetime(2026, 1, 1, tzinfo=UTC)
    assert [somebody.may_act_on(date(2026, month, 1), "checker") for month in (10, 11, 12)] == [False, True, True]
    assert Policy.model_validate_json(loaded.canonical) == loaded
    assert b'"from":"2026-11-01"' in loaded.canonical


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "duplicate_key": (b'version: "1"\nversion: "2"\n', "key 'version' is given twice"),
    "duplicate_key_inside": (
        b"limits:\n  payload_bytes: 1\n  payload_bytes: 2\n",
        "key 'payload_bytes' is given twice",
    ),
    "python_tag": (
        b"version: !!python/object/apply:os.system ['true']\n",
        "could not determine a constructor for the tag",
    ),
    "own_tag": (b"version: !secret x\n", "could not determine a constructor for the tag"),
    "not_yaml": (b"version: [\n", "while parsing a flow"),
    "not_utf8": (b"version: \xff\n", "can't decode byte 0xff"),
    "control_character": (b"version: \x00\n", "characters are not allowed"),
    "date_that_is_none": (b"version: 2026-13-45\n", "month must be in 1..12"),
    "date_instead_of_text": (b"version: 2026-11-23\n", "date is not JSON serializable"),
    "key_that_is_a_list": (b"? [a]\n: b\n", "found unhashable key"),
    "nested_in_itself": (b"version: &v [*v]\n", "Circular reference detected"),
    "nested_deeply": (b"version: " + b"[" * 1500, "maximum nesting depth"),
    "two_documents": (b"--- {}\n--- {}\n", "expected a single document"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_file_that_cannot_be_read_strictly_is_refused(case: str, tmp_path: Path) -> None:
    content, says = UNREADABLE[case]
    (tmp_path / "policy.yaml").write_bytes(content)
    said = refused(tmp_path / "policy.yaml")
    assert said.startswith("cannot be read: ")
    assert says in said


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"[]\n", b"text\n"], ids=["empty", "comment", "list", "text"])
def test_file_that_holds_no_mapping_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_bytes(content)
    assert "should be an object" in refused(tmp_path / "policy.yaml")


def test_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    assert refused(tmp_path / "policy.yaml").startswith("not found; name a file that is there (the policy by --policy)")
    assert refused(tmp_path).startswith("cannot be read: ")


def test_shipped_policy_and_catalogue_load_and_fit_each_other(policy: Policy, catalogue: Catalogue) -> None:
    assert [policy.sign_off.role(key) for key in Key] == ["reviewer", "approver"]
    assert load_policy(POLICY).sign_off.signature == "required"
    assert {control.owner for control in catalogue.controls} <= {role for one in policy.people for role in one.roles}
    assert list(catalogue.by_id) == [f"ITGC-CM-0{number}" for number in range(1, 8)]


UNTIL = {  # fiscal year end, audit, period, day of evidence → last day on which it is kept
    "within_the_year": ("12-31", (90, "days"), (7, "years"), "2026-11-23", "2034-03-31"),
    "last_day_of_the_year": ("12-31", (90, "days"), (7, "years"), "2026-12-31", "2034-03-31"),
    "first_day_of_the_next": ("12-31", (90, "days"), (7, "years"), "2027-01-01", "2035-03-30"),
    "broken_fiscal_year": ("06-30", (1, "days"), (1, "years"), "2026-07-01", "2028-07-01"),
    "year_that_ends_in_february": ("02-29", (1, "years"), (1, "years"), "2026-02-28", "2028-02-28"),
    "audit_that_ends_on_a_leap_day": ("12-31", (60, "days"), (7, "years"), "2027-06-01", "2035-03-01"),
}


@pytest.mark.parametrize("case", UNTIL)
def test_evidence_is_kept_for_a_period_after_the_audit_of_its_fiscal_year(case: str) -> None:
    year_end, audit, period, day, last = UNTIL[case]
    who = {"owner": "control_owner", "assigned_by": "board"}
    spans = [Span.model_validate({"value": value, "unit": unit, **who}) for value, unit in (audit, period)]
    retention = Retention(fiscal_year_end=year_end, audit_ends_after=spans[0], period=spans[1])
    assert retention.last_day(date.fromisoformat(day)).isoformat() == last


def test_evidence_is_kept_to_the_end_of_its_last_day_in_the_policys_zone(policy: Policy) -> None:
    until = policy.retention.until(date(2026, 11, 23), policy.zone)
    assert until.astimezone(UTC) == datetime(2034, 4, 1, 4, tzinfo=UTC)


def test_targets_that_nobody_assigned_are_told_from_those_that_somebody_did(policy: Policy, tmp_path: Path) -> None:
    assert [name for name, target in policy.targets() if not target.assigned] == [
        "review_clock.standard", "review_clock.emergency", "approval_clock.standard", "approval_clock.emergency",
        "observation_clock.standard", "observation_clock.emergency", "population_review",
        "emergency_approval", "retention.audit_ends_after", "retention.period",
    ]  # fmt: skip
    changed = load_policy(written(tmp_path, {**SHIPPED, "emergency_approval": HOURS, **kept(period=YEARS)}))
    targets = dict(changed.targets())
    assert targets["emergency_approval"] == Target.model_validate(HOURS)
    assert targets["emergency_approval"].assigned
    assert targets["retention.period"].assigned
    assert not Target.model_validate({**HOURS, "assigned_by": "▶ process owner"}).assigned


def test_a_model_is_asked_about_controls_that_there_are(tmp_path: Path) -> None:
    for name in ("catalogue.yaml", "calendar.yaml"):
        (tmp_path / name).write_bytes((POLICY.parent / name).read_bytes())
    path = written(tmp_path, {**SHIPPED, **model(controls=["ITGC-CM-01", "ITGC-CM-99"])})
    with pytest.raises(PolicyError, match=r"policy\.yaml: model\.controls: the catalogue has no ITGC-CM-99"):
        load_configuration(path)
    assert load_configuration(written(tmp_path, {**SHIPPED, **model(controls=["ITGC-CM-01"])})).policy.model


def test_digest_names_the_content_and_not_its_form(policy: Policy, tmp_path: Path) -> None:
    assert policy.digest == hashlib.sha256(rfc8785.dumps(policy.model_dump(mode="json"))).hexdigest()
    policy = load_policy(POLICY)
    same = load_policy(written(tmp_path, dict(reversed(SHIPPED.items()))))
    assert same.canonical == policy.canonical
    assert same.digest == policy.digest
    assert load_policy(written(tmp_path, {**SHIPPED, "version": "2026-12"})).digest != policy.digest
    assert Policy.model_validate_json(policy.canonical) == policy


def test_person_and_zone(policy: Policy) -> None:
    assert (policy.person("maker") or policy.people[1]).name == "Example Maker"
    assert policy.person("Maker") is None
    assert policy.zone.key == policy.time_zone


def test_the_zone_is_that_of_the_pinned_release_whatever_the_machine_has(policy: Policy, tmp_path: Path) -> None:
    """Months and days of evidence are cut by it, so they have to come out the same on every machine."""
    (tmp_path / "America").mkdir()
    with (resources.files("tzdata") / "zoneinfo" / "Asia" / "Kolkata").open("rb") as file:
        (tmp_path / "America" / "New_York").write_bytes(file.read())
    try:
        zoneinfo.reset_tzpath([tmp_path])
        zoneinfo.ZoneInfo.clear_cache()
        assert datetime(2026, 11, 23, tzinfo=zoneinfo.ZoneInfo("America/New_York")).utcoffset() == timedelta(hours=5.5)
        assert datetime(2026, 11, 23, tzinfo=policy.zone).utcoffset() == timedelta(hours=-5)
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()


def changed(controls: Callable[[list[dict[str, Any]]], object]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(CATALOGUE))
    controls(copy["controls"])
    return copy


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (changed(lambda controls: controls.clear()), "controls: List should have at least 1 item"),
        (changed(lambda controls: controls.append(controls[0])), "controls: two entries share one id"),
        (changed(lambda controls: controls[0].update(id="cm1")), "controls.0.id: String should match pattern"),
        (changed(lambda controls: controls[0].update(met_by=[])), "controls.0.met_by: List should have at least 1"),
        (changed(lambda controls: controls[0].update(met_by=["rumour"])), "controls.0.met_by.0: Input should be 'appr"),
        (changed(lambda controls: controls[0].update(applies_to=["standard"])), "controls.0.applies_to.0: Input"),
        (changed(lambda controls: controls[0].pop("owner")), "controls.0.owner: Field required"),
    ],
    ids=["none", "id_twice", "id", "met_by_nothing", "kind", "change_type", "owner"],
)
def test_bad_catalogue_is_refused_with_file_and_field(
    content: dict[str, Any], says: str, tmp_path: Path, policy: Policy
) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(PolicyError) as refusal:
        load_catalogue(policy, tmp_path / "policy.yaml")
    assert str(refusal.value).startswith(f"{path}: {says}")


def test_catalogue_lies_beside_the_policy_and_has_a_digest_of_its_own(policy: Policy, tmp_path: Path) -> None:
    content = {**CATALOGUE, "version": "another"}
    (tmp_path / "controls.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    other = load_catalogue(policy.model_copy(update={"catalogue": "controls.yaml"}), tmp_path / "policy.yaml")
    shipped = load_catalogue(policy, POLICY)
    assert (other.version, other.controls) == ("another", shipped.controls)
    assert other.digest == hashlib.sha256(other.canonical).hexdigest() != shipped.digest


@pytest.mark.parametrize("result", ["met", "exception"])
def test_a_control_accepts_the_kinds_of_its_result(result: str, catalogue: Catalogue) -> None:
    control = catalogue.by_id["ITGC-CM-01"]
    assert control.accepts(result) == set(control.met_by if result == "met" else control.excepted_by)
