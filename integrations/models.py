from integrations.audit.models import AuditChain, AuditLink

__all__ = ["AuditChain", "AuditLink"]
