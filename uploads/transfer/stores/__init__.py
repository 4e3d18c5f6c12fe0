"""The stores for objects: a folder or S3, chosen by `STORAGES["uploads"]`.

A store is one bucket of one company. An object becomes visible under its key only when it is
complete and verified; until then the key has its previous object, or none.
"""

from django.conf import settings
from django.core.files.storage import storages

from uploads.transfer.buckets import bucket_problem
from uploads.transfer.errors import StoreError
from uploads.transfer.stores.base import Store

__all__ = ["Store", "bucket_problem", "store_for"]


def store_for(company_code: str, bucket: str, region: str = "") -> Store:
    """Return the store of a bucket; `StoreError` if the company may not use it.

    This does not connect to the store: see `Store.check`.
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
