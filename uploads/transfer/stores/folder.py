import os
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from uploads.transfer.folders import Folder
from uploads.transfer.object_folder import ObjectFolder, named_errors
from uploads.transfer.stores.base import Store

ASIDE = ".incoming"


class FolderStore(ObjectFolder, Store, FileSystemStorage):
    """Objects as files in `<root>/<company code>/<bucket>/<key>`.

    What needs a name before it has its key gets it in `<root>/.incoming/<company code>/<bucket>/`.
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
        with named_errors:
            os.makedirs(root, 0o750, exist_ok=True)
            top = Folder.at(root)
            bucket = top.below(f"{company_code}/{bucket_name}", make=True)
            aside = top.below(f"{ASIDE}/{company_code}/{bucket_name}", make=True)
        ObjectFolder.__init__(self, bucket, aside, durable=durable)

    def check(self) -> None:
        """The folder was made when the store was."""
