import os
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from uploads.transfer.directories import Directory
from uploads.transfer.object_folder import ObjectFolder, store_errors
from uploads.transfer.stores.base import Store

STAGING_FOLDER = ".incoming"


class FolderStore(ObjectFolder, Store, FileSystemStorage):
    """Objects as files in `<root>/<company code>/<bucket>/<key>`.

    Incomplete files that need a name are in `<root>/.incoming/<company code>/<bucket>/`.
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        company_code: str,
        bucket_name: str,
        region_name: str = "",
        durable: bool = False,
    ) -> None:
        FileSystemStorage.__init__(self, location=Path(root, company_code, bucket_name))
        with store_errors:
            os.makedirs(root, 0o750, exist_ok=True)
            top = Directory.open(root)
            bucket = top.open_below(f"{company_code}/{bucket_name}", create=True)
            staging = top.open_below(f"{STAGING_FOLDER}/{company_code}/{bucket_name}", create=True)
        ObjectFolder.__init__(self, bucket, staging, durable=durable)

    def check(self) -> None:
        """Do nothing: the constructor has created the folder."""
