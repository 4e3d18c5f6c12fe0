"""Settings of the admin site's theme and navigation."""

from django.templatetags.static import static

UNFOLD = {
    "SITE_TITLE": "Bureau",
    "SITE_HEADER": "Bureau",
    "SITE_SUBHEADER": "The back office",
    "SITE_ICON": lambda _: static("bureau/logo.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("bureau/logo.svg")}
    ],
    "SHOW_HISTORY": True,
    "SHOW_BACK_BUTTON": True,
    "LOGIN": {
        "image": lambda _: static("bureau/cover.svg"),
        "form": "accounts.forms.AdminLoginForm",
    },
    "DASHBOARD_CALLBACK": "common.admin_site.get_dashboard_context",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "common.admin_site.navigation",
    },
}
# The sections of the admin's sidebar, in order, and the icons of their models (Material Symbols).
ADMIN_APPS = {
    "accounts": "People",
    "notes": "Notes",
    "catalog": "Catalog",
    "uploads": "Uploads",
    "posts": "Posts",
    "common": "Audit",
    "django_celery_results": "System",
}
ADMIN_ICONS = {
    "accounts.Company": "apartment",
    "accounts.User": "group",
    "accounts.Invitation": "person_add",
    "accounts.Login": "key",
    "accounts.Mail": "mail",
    "accounts.PasswordReset": "lock_reset",
    "notes.Note": "sticky_note_2",
    "notes.Summary": "summarize",
    "notes.Batch": "stacks",
    "notes.SummaryTemplate": "format_list_bulleted",
    "notes.ProviderCall": "network_intelligence",
    "catalog.EmbeddingModel": "hub",
    "catalog.Product": "inventory_2",
    "catalog.ProductImport": "upload_file",
    "catalog.ProductView": "visibility",
    "uploads.Project": "folder_special",
    "uploads.Cycle": "cycle",
    "uploads.Session": "cloud_upload",
    "uploads.SessionFile": "draft",
    "posts.Feed": "rss_feed",
    "posts.Post": "article",
    "common.Event": "history",
    "django_celery_results.TaskResult": "task_alt",
}
