"""The audit log: how long events are kept, and where the signed heads are."""

from config.settings.runtime import env

# None: for ever.
EVENT_RETENTION_DAYS = env.event_retention_days
EVENT_RETENTION_DAYS_BY_COMPANY = env.event_retention_days_by_company
AUDIT_HEADS_DIR = env.audit_heads_dir
