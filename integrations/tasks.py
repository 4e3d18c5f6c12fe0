from integrations.audit import tasks

__all__ = ["tasks"]
