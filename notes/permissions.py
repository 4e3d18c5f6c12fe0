from accounts.permissions import ADMINS, PEOPLE, RolePermission


class NotePermission(RolePermission):
    """Notes and summaries are people's; a `worker` has none and sees none."""

    read = write = PEOPLE


class TemplatePermission(RolePermission):
    """People choose among the company's templates, its admin makes them."""

    read = PEOPLE
    write = ADMINS
