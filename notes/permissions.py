from accounts.permissions import ADMINS, PEOPLE, RolePermission


class NotePermission(RolePermission):
    """Agents and admins use notes and summaries; a `worker` can't read or write them."""

    read = write = PEOPLE


class TemplatePermission(RolePermission):
    """Agents and admins read the company's templates; only admins write them."""

    read = PEOPLE
    write = ADMINS
