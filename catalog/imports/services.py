"""Create, confirm and cancel imports; each records an event by `by`."""

from dataclasses import asdict
from typing import IO

from django.db import transaction

from accounts.models import User
from catalog.import_models import ProductImport
from catalog.imports import uploaded_file
from catalog.imports.uploaded_file import FileFormat
from common.api.exceptions import Conflict
from common.events import record

MAX_FILE_NAME_CHARS = 255


@transaction.atomic
def create_import(
    *,
    by: User,
    file: IO[bytes],
    file_format: FileFormat,
    file_name: str,
    file_bytes: int,
    mode: str,
    dry_run: bool,
    publish: bool = True,
) -> ProductImport:
    """Store a file and queue its import into the products of the company of `by`.

    Without `publish` the caller runs it; a worker only does if that run does not begin.
    """
    add = ProductImport.objects.enqueue if publish else ProductImport.objects.create
    product_import = add(
        company=by.company,
        user=by,
        file_name=file_name.replace("\0", "")[:MAX_FILE_NAME_CHARS],
        file_bytes=file_bytes,
        mode=mode,
        dry_run=dry_run,
        **asdict(file_format),
    )
    uploaded_file.store(product_import, file)
    record("product_import.created", by=by, target=product_import)
    return product_import


@transaction.atomic
def confirm_import(product_import: ProductImport, *, by: User) -> ProductImport:
    """Queue a finished dry run to be written; `Conflict` for any other import."""
    if not product_import.confirm():
        raise Conflict(_explain_refusal(product_import), code="not_confirmable")
    record("product_import.confirmed", by=by, target=product_import)
    return product_import


def _explain_refusal(product_import: ProductImport) -> str:
    if not product_import.dry_run:
        return "This import is no dry run."
    if product_import.status != ProductImport.Status.COMPLETED:
        return f"This dry run is {product_import.status}; only a completed one can be confirmed."
    return "The rows of this dry run are no longer stored. Send the file again."


@transaction.atomic
def cancel_import(product_import: ProductImport, *, by: User) -> ProductImport:
    """Stop an import; what it has written stays. `Conflict` if it has ended."""
    if not product_import.cancel():
        product_import.refresh_from_db()
        raise Conflict(
            f"This import has already ended: it is {product_import.status}.", code="already_ended"
        )
    record("product_import.cancelled", by=by, target=product_import)
    return product_import
