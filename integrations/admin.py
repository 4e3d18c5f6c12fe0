from integrations.audit.admin import EventAdmin

__all__ = ["EventAdmin"]
