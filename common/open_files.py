import resource

MAX_OPEN_FILES = 8192


def raise_open_files_limit() -> None:
    """Allow this process as many connections as the server accepts; often only 1,024 are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if resource.RLIM_INFINITY != soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
