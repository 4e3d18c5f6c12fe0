import base64
import hashlib
import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
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

from uploads.transfer.content import Bytes, Content, Stored
from uploads.transfer.errors import SourceChanged, StoreBusy, StoreError
from uploads.transfer.stores.base import Store

SMALL = 1024 * 1024  # beyond that a buffer is large
PART = 8 * 1024 * 1024
MOST_PARTS = 10_000
CONNECTIONS = 50  # as many as a session may have workers
BUFFERS = 8  # parts in memory at once, for all threads of a store

_PROBLEMS = {
    "NoSuchBucket": "The bucket does not exist.",
    "AccessDenied": "The store refuses access to the bucket.",
    "InvalidAccessKeyId": "The store does not know the access key.",
    "SignatureDoesNotMatch": "The store refuses the secret key.",
    "KeyTooLongError": "Its key is too long for the store.",
    "EntityTooLarge": "It is too large for the store.",
    "PermanentRedirect": "The bucket lies in another region.",
    "301": "The bucket lies in another region.",
    "404": "The bucket does not exist.",
    "403": "The store refuses access to the bucket.",
}


class S3Store(Store, S3Storage):
    """Objects in a bucket of any S3-compatible service.

    Up to 8 MiB an object is put by one request, beyond that in parts of which eight at most are
    in memory. Each request carries the SHA-256 of its bytes, which the service compares. The
    metadata of an object say its whole SHA-256, its file's modification time and who put it.
    """

    def __init__(self, *, company_code: str, **options: Any) -> None:
        endpoint = options.get("endpoint_url")
        config = Config(
            signature_version="s3v4",
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=CONNECTIONS,
            # How often a file is tried is the session's to say.
            retries={"mode": "standard", "total_max_attempts": 2},
            s3={"addressing_style": "path" if endpoint else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        options = {name: value or None for name, value in options.items()}
        S3Storage.__init__(self, **options, client_config=config)
        # One for all threads, which boto3's clients bear: to make one takes long.
        self._client = self.connection.meta.client
        self._buffers = threading.BoundedSemaphore(BUFFERS)

    def check(self) -> None:
        with _named_errors():
            self._client.head_bucket(Bucket=self.bucket_name)

    def is_empty(self, prefix: str) -> bool:
        below = f"{prefix}/" if prefix else ""
        with _named_errors():
            found = self._client.list_objects_v2(Bucket=self.bucket_name, Prefix=below, MaxKeys=1)
        return not found.get("KeyCount")

    def find(self, key: str) -> Stored | None:
        head = self._head(key)
        if head is None:
            return None
        known = head["Metadata"]
        return Stored(
            size=head["ContentLength"],
            mtime_ns=_number(known.get("mtime-ns", "")),
            sha256=known.get("sha256", ""),
            put_by=_uuid(known.get("put-by", "")),
        )

    def sha256_of(self, key: str) -> str:
        """What S3 itself has compared; of others' objects it is computed."""
        head = self._head(key)
        if head is None:
            return ""
        return head["Metadata"].get("sha256") or self._sum(key)

    def put(self, key: str, content: Content, *, by: UUID | None = None) -> None:
        with _named_errors(content):
            if content.size <= PART:
                self._put_at_once(key, content, by)
            else:
                self._put_parts(key, content, by)

    def discard_leftovers(self, by: UUID) -> None:
        """What is left of a large file is removed when that is sent again."""

    def presigned_put(self, key: str, *, seconds: int) -> str:
        return self._client.generate_presigned_url(
            "put_object", Params={"Bucket": self.bucket_name, "Key": key}, ExpiresIn=seconds
        )

    def _put_at_once(self, key: str, content: Content, by: UUID | None) -> None:
        with self._room(content.size):
            body = _Body(content, content.chunks(SMALL))
            self._client.put_object(
                Bucket=self.bucket_name,
                Key=key,
                Body=body,
                ChecksumSHA256=_base64(bytes.fromhex(content.sha256)),
                Metadata=_metadata(content, by),
            )

    def _put_parts(self, key: str, content: Content, by: UUID | None) -> None:
        # Read twice: the sum is part of the metadata, and those come first.
        for _ in content.chunks(SMALL):
            content.check()
        metadata = _metadata(content, by)
        where = {"Bucket": self.bucket_name, "Key": key}
        self._abort_all(key)
        upload = self._client.create_multipart_upload(
            **where, Metadata=metadata, ChecksumAlgorithm="SHA256"
        )
        where["UploadId"] = upload["UploadId"]
        try:
            parts = self._send_parts(where, content)
            if content.sha256 != metadata["sha256"]:
                raise SourceChanged("It changed while it was read.")
            content.check()
            self._client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**where)
            raise
        stored = self.find(key)
        if stored is None or (stored.size, stored.sha256) != (content.size, content.sha256):
            raise StoreBusy("What was stored is not what was sent.")

    def _send_parts(self, where: dict[str, Any], content: Content) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        chunks = content.chunks(SMALL)
        each = -(-max(PART, content.size // MOST_PARTS) // SMALL)
        while True:
            with self._room(PART):
                body = _Body(content, islice(chunks, each))
                if not body.size:
                    return parts
                parts.append(self._send_part(where, len(parts) + 1, body))

    def _send_part(self, where: dict[str, Any], number: int, body: "_Body") -> dict[str, Any]:
        checksum = _base64(hashlib.sha256(body.getbuffer()).digest())
        sent = self._client.upload_part(
            **where, PartNumber=number, Body=body, ChecksumSHA256=checksum
        )
        return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}

    def _abort_all(self, key: str) -> None:
        """What a killed process began to send under this key is not kept, nor paid for."""
        found = self._client.list_multipart_uploads(Bucket=self.bucket_name, Prefix=key)
        for upload in found.get("Uploads", []):
            if upload["Key"] == key:
                with suppress(ClientError):
                    self._client.abort_multipart_upload(
                        Bucket=self.bucket_name, Key=key, UploadId=upload["UploadId"]
                    )

    def _room(self, size: int) -> AbstractContextManager[Any]:
        return self._buffers if size > SMALL else nullcontext()

    def _head(self, key: str) -> dict[str, Any] | None:
        with _named_errors():
            try:
                return self._client.head_object(Bucket=self.bucket_name, Key=key)
            except ClientError as error:
                # The answer to HEAD has no body, and so no other code.
                if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                    return None
                raise

    def _sum(self, key: str) -> str:
        summed = hashlib.sha256()
        with _named_errors():
            body = self._client.get_object(Bucket=self.bucket_name, Key=key)["Body"]
            for chunk in body.iter_chunks(SMALL):
                summed.update(chunk)
        return summed.hexdigest()


class _Body(io.BytesIO):
    """Bytes that are no longer given away when nobody wants the object any more."""

    def __init__(self, content: Content, chunks: Iterable[Bytes]) -> None:
        super().__init__()
        self._check = content.check
        self.size = sum(map(self.write, chunks))
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        return super().read(size)


def _metadata(content: Content, by: UUID | None) -> dict[str, str]:
    return {
        "sha256": content.sha256,
        "mtime-ns": str(content.mtime_ns or ""),
        "put-by": str(by or ""),
    }


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@contextmanager
def _named_errors(content: Content | None = None) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _named(error) from error
    except (NoCredentialsError, ParamValidationError) as error:
        raise StoreError(f"The store can't be used: {error}") from error
    except BotoCoreError as error:
        # Among them what was raised while a body was read.
        if content is not None:
            content.check()
        raise StoreBusy(f"The store does not answer ({type(error).__name__}).") from error


def _named(error: ClientError) -> StoreError:
    code = error.response["Error"]["Code"]
    if problem := _PROBLEMS.get(code):
        return StoreError(problem)
    return StoreBusy(f"The store answered {code}.")
