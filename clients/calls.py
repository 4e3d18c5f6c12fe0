"""The calls that `clients/check_clients.py` makes: one or more of each operation, in order.

The body of a call that gives none is the schema's example. Reads are made twice: without optional
query parameters, and with all of them.
"""

from dataclasses import dataclass, field
from typing import Any


class Expression(str):
    """A value known when the calls run: an expression that both languages read alike."""


X = Expression
ADMIN, AGENT, ANYONE = X("admin"), X("agent"), X("anyone")
SUPERUSER, WORKER = X("superuser"), X("worker")


@dataclass(frozen=True)
class Call:
    """A call of an operation.

    by: the client that makes it.
    id: the `{id}` in the path.
    body: fields that replace those of the example; None leaves a field out.
    saves: the name under which later calls find the answer.
    status: the expected status; by default the documented success.
    all_parameters: whether the call has the optional query parameters.

    `{run}` in a text is replaced by the name of the language, so each has values of its own.
    """

    operation: str
    by: Expression = ADMIN
    id: Expression | None = None
    body: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    saves: str = ""
    status: int = 0
    all_parameters: bool = False


# Accounts that the calls make.
PASSWORD = "amber-harbour-{run}-17"
NEW_PASSWORD = "violet-anchor-{run}-42"
MEMBER = {"email": "mia-{run}@example.com", "username": "mia-{run}", "password": PASSWORD}
NEWCOMER = {"email": "noah-{run}@example.com", "username": "noah-{run}", "invitation": None}
MEMBER_CLIENT = X("client_of(login.access_token)")
OTHER_CLIENT = X("client_of(refreshed.access_token)")

ACCOUNTS = [
    Call("companies_create", by=SUPERUSER, body={"code": "acme-{run}"}, saves="company"),
    Call("companies_list", by=SUPERUSER),
    Call("companies_retrieve", by=SUPERUSER, id=X("company.id")),
    Call("companies_update", by=SUPERUSER, id=X("company.id"), body={"code": "ace-{run}"}),
    Call("companies_partial_update", by=SUPERUSER, id=X("company.id"), body={"code": None}),
    Call("auth_signup", by=ANYONE, body=NEWCOMER),
    Call("auth_register", by=ANYONE, body={**NEWCOMER, "email": "o-{run}@x.com", "username": None}),
    Call("users_create", body=MEMBER, saves="user"),
    Call("users_list"),
    Call("users_retrieve", id=X("user.id")),
    Call("users_update", id=X("user.id"), body=MEMBER),
    Call("users_partial_update", id=X("user.id"), body=MEMBER),
    Call("users_set_role", id=X("user.id")),
    Call("users_change_role", id=X("user.id")),
    Call("admin_users_list"),
    Call("admin_users_retrieve", id=X("user.id")),
    Call("admin_users_deactivate", id=X("user.id")),
    Call("admin_users_activate", id=X("user.id")),
    Call("invitations_create", body={"email": "guest-{run}@example.com"}, saves="invitation"),
    Call("invitations_list"),
    Call("invitations_retrieve", id=X("invitation.id")),
    Call("invitations_destroy", id=X("invitation.id")),
]
# Tokens that are mailed are refused.
LOGINS = [
    Call("auth_login", by=ANYONE, body=MEMBER | {"email": None}, saves="login"),
    Call("auth_login_json", by=ANYONE, body=MEMBER | {"email": None}, saves="other"),
    Call(
        "auth_refresh", ANYONE, body={"refresh_token": X("other.refresh_token")}, saves="refreshed"
    ),
    Call("auth_me", by=MEMBER_CLIENT, saves="me"),
    Call("auth_sessions_list", by=OTHER_CLIENT, saves="logins"),
    Call("auth_sessions_retrieve", by=OTHER_CLIENT, id=X("first(logins.items).id")),
    Call("profile_me_retrieve", by=MEMBER_CLIENT),
    Call("profile_me_update", by=MEMBER_CLIENT, body={"username": "mia-{run}"}),
    Call("profile_me_partial_update", by=MEMBER_CLIENT, body={"username": None}),
    Call(
        "profile_change_email",
        by=MEMBER_CLIENT,
        body={"new_email": "new-{run}@example.com", "password": PASSWORD},
    ),
    Call("profile_email_confirm", by=ANYONE, status=400),
    Call(
        "auth_password_change",
        by=MEMBER_CLIENT,
        body={"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    ),
    Call("auth_password_reset", by=ANYONE),
    Call("auth_password_reset_confirm", by=ANYONE, status=400),
    Call(
        "auth_login",
        by=ANYONE,
        body={"username": MEMBER["username"], "password": NEW_PASSWORD},
        saves="last",
    ),
    Call("auth_sessions_list", by=X("client_of(last.access_token)"), saves="rest"),
    Call("auth_sessions_destroy", X("client_of(last.access_token)"), id=X("first(rest.items).id")),
    Call("auth_logout", by=AGENT),
    Call("auth_sessions_destroy_all", by=WORKER),
    Call("users_destroy", id=X("user.id")),
]
NOTES = [
    Call("notes_create", saves="note"),
    Call("notes_list"),
    Call("notes_retrieve", id=X("note.id")),
    Call("notes_update", id=X("note.id")),
    Call("notes_partial_update", id=X("note.id"), body={"raw_text": None}),
    Call("notes_summarize", id=X("note.id")),
    Call("summaries_create", body={"text": None, "note_id": X("note.id")}, saves="summary"),
    Call("summaries_create", body={"text": None, "file": "The pump failed."}),
    Call("summaries_list"),
    Call("summaries_retrieve", id=X("summary.id")),
    Call("summaries_destroy", id=X("summary.id")),
    Call("summaries_batch_create", saves="batch"),
    Call("summaries_batches_list"),
    Call("summaries_batches_retrieve", id=X("batch.id")),
    Call("summaries_batches_cancel", id=X("batch.id")),
    # No worker runs, so nothing has failed.
    Call("summaries_batches_retry", id=X("batch.id"), status=409),
    Call("summaries_usage"),
    Call("summary_templates_create", body={"name": "Own {run}"}, saves="template"),
    Call("summary_templates_list"),
    Call("summary_templates_retrieve", id=X("template.id")),
    Call("summary_templates_update", id=X("template.id"), body={"name": "Ours {run}"}),
    Call("summary_templates_partial_update", id=X("template.id"), body={"name": None}),
    Call("summary_templates_destroy", id=X("template.id")),
    Call("notes_destroy", id=X("note.id")),
]
PRODUCT_FILE = "name,category,price,stock,sku\nPump,Pumps,29.99,5,FILE-{run}\n"
CATALOG = [
    Call("products_create", body={"sku": "PUMP-{run}"}, saves="product"),
    Call("products_list", by=ANYONE),
    Call("products_search", by=ANYONE),
    Call("products_retrieve", by=ANYONE, id=X("product.id")),
    Call("products_update", id=X("product.id"), body={"sku": "PUMPS-{run}"}),
    Call("products_partial_update", id=X("product.id"), body={"sku": None}),
    Call("products_generate_description", id=X("product.id")),
    Call("products_views_create", by=AGENT, id=X("product.id")),
    Call("search_smart", by=ANYONE),
    Call("search_smart_by_body", by=ANYONE),
    Call("recommendations_list", query={"product_id": X("product.id")}),
    Call("recommendations_list_by_body", by=ANYONE, body={"product_id": X("product.id")}),
    Call("products_export"),
    Call("products_import", body={"file": PRODUCT_FILE}),
    Call("products_imports_create", body={"file": PRODUCT_FILE}, saves="product_import"),
    Call("products_imports_list"),
    Call("products_imports_retrieve", id=X("product_import.id")),
    Call("products_imports_errors", id=X("product_import.id")),
    # No worker runs, so there is no trial run to confirm.
    Call("products_imports_confirm", id=X("product_import.id"), status=409),
    Call("products_imports_cancel", id=X("product_import.id")),
    Call("products_destroy", id=X("product.id")),
]
CYCLE = {"project_id": X("project.id")}
SESSION = {**CYCLE, "cycle_id": X("cycle.id")}
UPLOADS = [
    Call("projects_create", body={"name": "Yard {run}"}, saves="project"),
    Call("projects_list"),
    Call("projects_retrieve", id=X("project.id")),
    Call("projects_update", id=X("project.id"), body={"name": "North {run}"}),
    Call("projects_partial_update", id=X("project.id"), body={"name": None}),
    Call("cycles_create", body=CYCLE, saves="cycle"),
    Call("cycles_list"),
    Call("cycles_retrieve", id=X("cycle.id")),
    Call("cycles_update", id=X("cycle.id"), body=CYCLE),
    Call("cycles_partial_update", id=X("cycle.id"), body=CYCLE),
    Call("sessions_create", body=SESSION, saves="session"),
    Call("sessions_list"),
    Call("sessions_stats"),
    Call("sessions_retrieve", id=X("session.id")),
    Call("sessions_update", id=X("session.id"), body=SESSION),
    Call("sessions_partial_update", id=X("session.id"), body=SESSION),
    Call("uploads_start", body={"session_id": X("session.id")}, saves="job"),
    Call("uploads_status", id=X("job.job_id")),
    Call("sessions_cancel", id=X("session.id")),
    Call("sessions_retry", id=X("session.id")),
    Call("sessions_cancel", id=X("session.id")),
    Call("sessions_create", body={**SESSION, "local_directory": None}, saves="direct"),
    Call("uploads_presigned_url", body={"session_id": X("direct.id")}, saves="presigned"),
    Call(
        "uploads_send_file",
        by=ANYONE,
        id=X("id_in(presigned.url)"),
        query={"signature": X("signature_in(presigned.url)")},
    ),
    Call("sessions_complete", id=X("direct.id")),
    Call("sessions_files_list", id=X("direct.id")),
    Call("sessions_destroy", id=X("session.id")),
    Call("sessions_destroy", id=X("direct.id")),
    Call("cycles_destroy", id=X("cycle.id")),
    Call("projects_destroy", id=X("project.id")),
]
EVENTS_QUERY = {"types": "note.*", "since": X("first(events.items).id")}
EVENTS = [
    Call("events_list", query=EVENTS_QUERY, saves="events"),
    Call("events_ticket", by=AGENT),
    # Another process serves the stream.
    Call("events_stream", query={**EVENTS_QUERY, "ticket": "none"}, status=421),
]
# The server of the check mirrors no feed.
POSTS = [Call("posts_list", by=ANYONE), Call("posts_retrieve", ANYONE, id=X("absent"), status=404)]
CALLS = [*ACCOUNTS, *LOGINS, *NOTES, *CATALOG, *UPLOADS, *POSTS, *EVENTS]
