"""Writes across models or with side effects; each records an event that names its actor `by`."""

from accounts.services.companies import create_company, get_default_company, update_company
from accounts.services.emails import confirm_email_change, request_email_change
from accounts.services.invitations import (
    create_invitation,
    get_pending_invitation,
    revoke_invitation,
)
from accounts.services.logins import (
    end_all_sessions,
    end_login,
    end_logins,
    rotate_login,
    start_login,
)
from accounts.services.passwords import change_password, reset_password, send_password_reset_mail
from accounts.services.signup import check_right_to_sign_up, sign_up
from accounts.services.users import (
    activate_user,
    change_role,
    create_user,
    deactivate_user,
    delete_user,
    update_user,
)

__all__ = [
    "activate_user",
    "change_password",
    "change_role",
    "check_right_to_sign_up",
    "confirm_email_change",
    "create_company",
    "create_invitation",
    "create_user",
    "deactivate_user",
    "delete_user",
    "end_all_sessions",
    "end_login",
    "end_logins",
    "get_default_company",
    "get_pending_invitation",
    "request_email_change",
    "reset_password",
    "revoke_invitation",
    "rotate_login",
    "send_password_reset_mail",
    "sign_up",
    "start_login",
    "update_company",
    "update_user",
]
