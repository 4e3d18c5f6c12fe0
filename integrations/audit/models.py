from typing import Any
from uuid import UUID

from django.db import models

from integrations.audit.signing import is_signed, sign

# The chain of the events that belong to no company.
NO_COMPANY = UUID(int=0)
FIRST_HASH = "0" * 64


class AuditChain(models.Model):
    """The chain of a company's events: where it ends, and where the stored part begins.

    Retention deletes from the beginning. The signed anchor is the last link that it has deleted.
    """

    company_id = models.UUIDField(primary_key=True)
    position = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=FIRST_HASH)
    last_sequence = models.BigIntegerField(null=True)
    anchor_position = models.BigIntegerField(default=0)
    anchor_hash = models.CharField(max_length=64, default=FIRST_HASH)
    anchor_signature = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.company_id}"

    def move_anchor(self, link: "AuditLink") -> None:
        """Let the chain begin after a link."""
        self.anchor_position, self.anchor_hash = link.position, link.hash
        self.anchor_signature = sign(self._anchor())
        self.save(update_fields=["anchor_position", "anchor_hash", "anchor_signature"])

    @property
    def is_anchor_valid(self) -> bool:
        if not self.anchor_position:
            return self.anchor_hash == FIRST_HASH
        return is_signed(self._anchor(), self.anchor_signature)

    def _anchor(self) -> list[Any]:
        return ["anchor", str(self.company_id), self.anchor_position, self.anchor_hash]


class AuditLink(models.Model):
    """The place of an event in its chain; positions count from 1."""

    sequence = models.BigIntegerField(primary_key=True)
    chain = models.ForeignKey(AuditChain, models.PROTECT, related_name="links", db_index=False)
    position = models.BigIntegerField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["chain", "position"]
        constraints = [
            models.UniqueConstraint(fields=["chain", "position"], name="audit_link_position")
        ]

    def __str__(self) -> str:
        return f"{self.chain_id} {self.position}"
