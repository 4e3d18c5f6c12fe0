from accounts.permissions import ADMIN_ROLES, HUMAN_ROLES, RolePermission


class NotePermission(RolePermission):
    """Agents and admins use notes and summaries; a `worker` can't read or write them."""

    read_roles = write_roles = HUMAN_ROLES


class TemplatePermission(RolePermission):
    """Agents and admins read the company's templates; only admins write them."""

    read_roles = HUMAN_ROLES
    write_roles = ADMIN_ROLES
