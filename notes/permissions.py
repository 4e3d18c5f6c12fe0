from accounts.permissions import PEOPLE, RolePermission


class NotePermission(RolePermission):
    """Notes are people's; a `worker` has none and sees none."""

    read = write = PEOPLE
