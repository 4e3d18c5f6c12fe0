import base64
import hashlib
import io
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import islice
from typing import Any
from uuid import UUID

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
)
from storages.backends.s3 import S3Storage

from uploads.transfer.content import Bytes, Content, StoredObject
from uploads.transfer.errors import AccessDenied, SourceChanged, StoreBusy, StoreError
from uploads.transfer.stores.base import Store

CHUNK_BYTES = 1024 * 1024
PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000
MAX_CONNECTIONS = 50  # the maximum of `Session.max_workers`
MAX_BUFFERS = 8  # parts in memory, for all threads of a store
TIME_RESOLUTION_S = 1  # of `Last-Modified`

_PROBLEMS = {
    "NoSuchBucket": "The bucket does not exist.",
    "InvalidAccessKeyId": "The store does not know the access key.",
    "SignatureDoesNotMatch": "The store rejects the secret key.",
    "KeyTooLongError": "Its key is too long for the store.",
    "EntityTooLarge": "It is too large for the store.",
    "PermanentRedirect": "The bucket is in another region.",
    "301": "The bucket is in another region.",
    "404": "The bucket does not exist.",
    "RequestTimeTooSkewed": "The clocks of the store and of this machine differ.",
}
_DENIED = "The store denies access to the bucket."


class S3Store(Store, S3Storage):
    """Objects in a bucket of any S3-compatible service.

    An object of up to 8 MiB is put by one request, a larger one in parts; at most eight parts are
    in memory. Each request is signed with the SHA-256 of its bytes, and has their MD5; the service
    verifies both (docs/adr/0031-s3-requests-that-all-servers-accept.md). The object's metadata
    contains its SHA-256, the source file's modification time and the owner's id.

    Only `s3:PutObject` is necessary. Without permission to list, `check` and `is_empty` assume a
    usable bucket with objects in it.
    """

    def __init__(self, *, company_code: str, **options: Any) -> None:
        endpoint = options.get("endpoint_url")
        config = Config(
            signature_version="s3v4",
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=MAX_CONNECTIONS,
            # The session retries failed files itself.
            retries={"mode": "standard", "total_max_attempts": 2},
            s3={
                "addressing_style": "path" if endpoint else "auto",
                "payload_signing_enabled": True,
            },
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        options = {name: value or None for name, value in options.items()}
        S3Storage.__init__(self, **options, client_config=config)
        # One client for all threads: it is thread-safe and slow to create.
        self.client = self.connection.meta.client
        self._buffers = threading.BoundedSemaphore(MAX_BUFFERS)

    def check(self) -> None:
        # Unlike HEAD, this returns a body that says what is wrong.
        self.is_empty("")

    def is_empty(self, prefix: str) -> bool:
        below = f"{prefix}/" if prefix else ""
        with suppress(AccessDenied), _store_errors():
            response = self.client.list_objects_v2(Bucket=self.bucket_name, Prefix=below, MaxKeys=1)
            return "Contents" not in response
        return False

    def find(self, key: str) -> StoredObject | None:
        head = self._head(key)
        if head is None:
            return None
        metadata = head["Metadata"]
        return StoredObject(
            size=head["ContentLength"],
            mtime_ns=_int_or_none(metadata.get("mtime-ns", "")),
            sha256=metadata.get("sha256", ""),
            owner_id=_uuid_or_none(metadata.get("put-by", "")),
            version=_version(head),
        )

    def sha256_of(self, key: str) -> str:
        """Return the SHA-256 that S3 verified; compute it for objects that other programs put."""
        head = self._head(key)
        if head is None:
            return ""
        return head["Metadata"].get("sha256") or self._compute_sha256(key)

    def put(self, key: str, content: Content, *, owner_id: UUID | None = None) -> None:
        with _store_errors(content):
            if content.size <= PART_BYTES:
                self._put_object(key, content, owner_id)
            else:
                self._put_multipart(key, content, owner_id)

    def discard_leftovers(self, owner_id: UUID) -> None:
        """Do nothing: `put` aborts the incomplete uploads of its key."""

    def presigned_put(self, key: str, *, seconds: int) -> str:
        return self.client.generate_presigned_url(
            "put_object", Params={"Bucket": self.bucket_name, "Key": key}, ExpiresIn=seconds
        )

    def _put_object(self, key: str, content: Content, owner_id: UUID | None) -> None:
        with self._buffer_slot(content.size):
            body = _Body(content, content.chunks(CHUNK_BYTES))
            self.client.put_object(
                Bucket=self.bucket_name,
                Key=key,
                Body=body,
                ContentMD5=body.md5,
                Metadata=_metadata(content, owner_id),
            )

    def _put_multipart(self, key: str, content: Content, owner_id: UUID | None) -> None:
        # Read the file twice: the metadata is sent first and contains the SHA-256.
        for _ in content.chunks(CHUNK_BYTES):
            content.check()
        metadata = _metadata(content, owner_id)
        upload_args = {"Bucket": self.bucket_name, "Key": key}
        self._abort_uploads(key)
        upload = self.client.create_multipart_upload(**upload_args, Metadata=metadata)
        upload_args["UploadId"] = upload["UploadId"]
        try:
            parts = self._send_parts(upload_args, content)
            if content.sha256 != metadata["sha256"]:
                raise SourceChanged("It changed while it was read.")
            content.check()
            self.client.complete_multipart_upload(**upload_args, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(BotoCoreError, ClientError):
                self.client.abort_multipart_upload(**upload_args)
            raise
        with suppress(AccessDenied):
            stored = self.find(key)
            if stored is None or (stored.size, stored.sha256) != (content.size, content.sha256):
                raise StoreBusy("The stored object differs from the file.")

    def _send_parts(self, upload_args: dict[str, Any], content: Content) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        chunks = content.chunks(CHUNK_BYTES)
        chunks_per_part = -(-max(PART_BYTES, content.size // MAX_PARTS) // CHUNK_BYTES)
        while True:
            with self._buffer_slot(PART_BYTES):
                body = _Body(content, islice(chunks, chunks_per_part))
                if not body.size:
                    return parts
                parts.append(self._send_part(upload_args, len(parts) + 1, body))

    def _send_part(self, upload_args: dict[str, Any], number: int, body: "_Body") -> dict[str, Any]:
        response = self.client.upload_part(
            **upload_args, PartNumber=number, Body=body, ContentMD5=body.md5
        )
        return {"PartNumber": number, "ETag": response["ETag"]}

    def _abort_uploads(self, key: str) -> None:
        """Abort incomplete uploads of a killed process to this key, which cost storage.

        A service or policy may not allow this; the bucket then needs a rule that expires them.
        """
        with suppress(ClientError):
            response = self.client.list_multipart_uploads(Bucket=self.bucket_name, Prefix=key)
            for upload in response.get("Uploads", []):
                if upload["Key"] == key:
                    self.client.abort_multipart_upload(
                        Bucket=self.bucket_name, Key=key, UploadId=upload["UploadId"]
                    )

    def _buffer_slot(self, size: int) -> AbstractContextManager[Any]:
        return self._buffers if size > CHUNK_BYTES else nullcontext()

    def _head(self, key: str) -> dict[str, Any] | None:
        with _store_errors():
            try:
                return self.client.head_object(Bucket=self.bucket_name, Key=key)
            except ClientError as error:
                # The response to HEAD has no body and so no S3 error code, only the status.
                if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                    return None
                raise

    def _compute_sha256(self, key: str) -> str:
        digest = hashlib.sha256()
        with _store_errors():
            body = self.client.get_object(Bucket=self.bucket_name, Key=key)["Body"]
            for chunk in body.iter_chunks(CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()


class _Body(io.BytesIO):
    """A request body that calls the content's `check` on each read, to stop early."""

    def __init__(self, content: Content, chunks: Iterable[Bytes]) -> None:
        super().__init__()
        self._check = content.check
        self.size = sum(map(self.write, chunks))
        self.seek(0)
        self.md5 = _base64(hashlib.md5(self.getbuffer(), usedforsecurity=False).digest())

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        return super().read(size)


def _metadata(content: Content, owner_id: UUID | None) -> dict[str, str]:
    return {
        "sha256": content.sha256,
        "mtime-ns": "" if content.mtime_ns is None else str(content.mtime_ns),
        "put-by": str(owner_id or ""),
    }


def _version(head: dict[str, Any]) -> str:
    """Return the object's ETag and time, or "" if another PUT could still get the same ones."""
    modified = head["LastModified"]
    answered = head["ResponseMetadata"]["HTTPHeaders"].get("date")
    age = parsedate_to_datetime(answered) - modified if answered else timedelta.max
    is_new = age < timedelta(seconds=TIME_RESOLUTION_S)
    return "" if is_new else f"{head['ETag']} {modified.isoformat()}"


def _int_or_none(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,40}", text) else None


def _uuid_or_none(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@contextmanager
def _store_errors(content: Content | None = None) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _store_error(error) from error
    except (NoCredentialsError, ParamValidationError) as error:
        raise StoreError(f"The store cannot be used: {error}") from error
    except BotoCoreError as error:
        # botocore wraps an error that was raised while it read the body: raise that one instead.
        if content is not None:
            content.check()
        raise StoreBusy(f"The store does not answer ({type(error).__name__}).") from error


def _store_error(error: ClientError) -> StoreError:
    code = error.response["Error"]["Code"]
    if problem := _PROBLEMS.get(code):
        return StoreError(problem)
    if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.FORBIDDEN:
        return AccessDenied(_DENIED)
    return StoreBusy(f"The store answered {code}.")
