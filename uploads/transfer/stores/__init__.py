"""Where objects are kept: a folder or S3, chosen by `STORAGES["uploads"]`.

A store belongs to one bucket of one company. An object appears in it under its key only when it
is whole and has been verified; until then there is the former one, or none.
"""

from django.conf import settings
from django.core.files.storage import storages

from uploads.transfer.buckets import bucket_problem
from uploads.transfer.errors import StoreError
from uploads.transfer.stores.base import Store

__all__ = ["Store", "bucket_problem", "store_for"]


def store_for(company_code: str, bucket: str, region: str = "") -> Store:
    """The company's bucket; `StoreError` where it may not have it.

    Nothing is asked of the store yet: see `Store.check`.
    """
    if problem := bucket_problem(company_code, bucket):
        raise StoreError(problem)
    backend = settings.STORAGES["uploads"]
    options = {**backend["OPTIONS"], "company_code": company_code, "bucket_name": bucket}
    if region:
        options["region_name"] = region
    store = storages.create_storage({**backend, "OPTIONS": options})
    assert isinstance(store, Store)
    return store
