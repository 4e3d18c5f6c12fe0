from accounts.permissions import ADMIN_ROLES, HUMAN_ROLES, RolePermission


class NotePermission(RolePermission):
    """Notes and summaries are people's; a `worker` has none and sees none."""

    read_roles = write_roles = HUMAN_ROLES


class TemplatePermission(RolePermission):
    """People choose among the company's templates, its admin makes them."""

    read_roles = HUMAN_ROLES
    write_roles = ADMIN_ROLES
