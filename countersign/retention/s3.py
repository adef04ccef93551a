"""A retention store in an S3 bucket with Object Lock, in COMPLIANCE mode: nobody shortens it, not even its owner.

Credentials come from boto3's own chain (environment, profile, instance role) and from nowhere else.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from countersign.errors import StoreError
from countersign.policy import S3StoreSpec
from countersign.retention.store import Over, Stat

_COMPLIANCE = "COMPLIANCE"
_PIECE = 1 << 20
_MOST_BYTES = 5 << 30  # of one PutObject; a multipart upload would have no SHA-256 of the whole
_PATIENCE = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 4})
_GONE = ("404", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed")


def connect(spec: S3StoreSpec, config: Config = _PATIENCE) -> "S3Store":
    """The store that a policy names. Raises StoreError for a bucket that would not keep."""
    try:
        client = boto3.client("s3", region_name=spec.region, endpoint_url=spec.endpoint, config=config)
    except (BotoCoreError, ValueError) as error:
        raise StoreError(f"s3://{spec.bucket}: {error}") from error
    return S3Store(client, spec.bucket, spec.prefix)


class S3Store:
    """A bucket. One without versioning and Object Lock is refused when it is opened."""

    modes = (_COMPLIANCE,)

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self.name = f"s3://{bucket}/{prefix}"
        with self._saying("the bucket cannot be opened"):
            versioning = client.get_bucket_versioning(Bucket=bucket).get("Status")
            if versioning != "Enabled":
                raise StoreError(
                    f"{self.name}: versioning is {versioning or 'off'}; a retention store needs it enabled"
                )
            locking = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
            if locking.get("ObjectLockEnabled") != "Enabled":
                raise StoreError(f"{self.name}: Object Lock is off; make a bucket that has it")

    def put(self, key: str, content: Path, digest: str, until: datetime) -> str:
        size = content.stat().st_size
        if size > _MOST_BYTES:
            raise StoreError(f"{self.name}: {key} has {size} bytes; one object can have {_MOST_BYTES}")
        with self._saying(f"{key} was not kept"), content.open("rb") as body:
            try:
                answer = self._client.put_object(
                    **self._named(key),
                    Body=body,
                    ContentLength=size,
                    ContentType="application/x-tar",
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=base64.b64encode(bytes.fromhex(digest)).decode("ascii"),
                    IfNoneMatch="*",
                    ObjectLockMode=_COMPLIANCE,
                    ObjectLockRetainUntilDate=until,
                )
            except ClientError as error:
                if _code(error) == "PreconditionFailed":
                    return self._found_there(key, digest, until)
                raise
            return str(answer["VersionId"])

    def _found_there(self, key: str, digest: str, until: datetime) -> str:
        """The version that an earlier call has put, which is only taken for what its bytes say."""
        version = str(self._client.head_object(**self._named(key))["VersionId"])
        there = hashlib.sha256()
        for piece in self.read(key, version):
            there.update(piece)
        if there.hexdigest() != digest:
            raise StoreError(f"{self.name}: other content is kept as {key} (SEV-1)")
        stat = self.stat(key, version)
        if stat is not None and (stat.until is None or stat.until < until):
            lock = {"Mode": _COMPLIANCE, "RetainUntilDate": until}
            self._client.put_object_retention(**self._named(key, version), Retention=lock)
        return version

    def read(self, key: str, version: str) -> Iterator[bytes]:
        with self._saying(f"{key} cannot be read"):
            body = self._client.get_object(**self._named(key, version))["Body"]
            try:
                yield from body.iter_chunks(_PIECE)
            finally:
                body.close()

    def stat(self, key: str, version: str) -> Stat | None:
        with self._saying(f"{key} cannot be looked at"):
            try:
                head = self._client.head_object(**self._named(key, version), ChecksumMode="ENABLED")
            except ClientError as error:
                if _code(error) in _GONE:
                    return None
                raise
            checksum = head.get("ChecksumSHA256")
            until = head.get("ObjectLockRetainUntilDate")
            return Stat(
                size=head["ContentLength"],
                mode=str(head.get("ObjectLockMode") or "none"),
                until=until and until.astimezone(UTC),
                held=head.get("ObjectLockLegalHoldStatus") == "ON",
                digest=base64.b64decode(checksum).hex() if checksum else None,
                over=self._over(key, version),
            )

    def _over(self, key: str, version: str) -> Over | None:
        try:
            newest = self._client.head_object(**self._named(key))
        except ClientError as error:
            if _code(error) in _GONE:
                return "delete_marker"  # the version is there, and yet a plain reading does not find it
            raise
        return None if newest.get("VersionId") == version else "other_version"

    def hold(self, key: str, version: str, *, on: bool) -> None:
        with self._saying(f"the hold of {key} was not changed"):
            status = {"Status": "ON" if on else "OFF"}
            self._client.put_object_legal_hold(**self._named(key, version), LegalHold=status)

    def remove(self, key: str, version: str) -> None:
        with self._saying(f"{key} was not removed"):
            self._client.delete_object(**self._named(key, version))

    def find(self, prefix: str) -> list[tuple[str, str]]:
        with self._saying("the bucket cannot be listed"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            return sorted(
                (str(version["Key"]).removeprefix(self._prefix), str(version["VersionId"]))
                for page in pages
                for version in page.get("Versions", [])
            )

    def _named(self, key: str, version: str | None = None) -> dict[str, str]:
        named = {"Bucket": self._bucket, "Key": self._prefix + key}
        return named if version is None else {**named, "VersionId": version}

    @contextmanager
    def _saying(self, what: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            detail = error.response.get("Error", {}).get("Message", "no reason given")
            raise StoreError(f"{self.name}: {what}: {_code(error)}: {detail}") from error
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise StoreError(f"{self.name}: {what}: {error}; nothing was lost, try again") from error
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{self.name}: {what}: the answer is not of its form: {error!r}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
