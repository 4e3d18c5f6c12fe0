"""The registry that connects a kind of job with the code that does its work.

Each app registers its handlers in its `tasks.py`, which `common.apps` imports at start:

    @handles(Mail)
    def send(mail: Mail) -> JobResult: ...

So a model does not import the code that runs it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from common.jobs.models import Job

J = TypeVar("J", bound="Job")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a handler returns: the columns that are stored when the run ends.

    A kind of job with further columns subclasses it; a field is named after its column. `status`
    is for a kind that can end in another state than `completed`.
    """

    status: str = "completed"

    def columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


_handlers: dict[type["Job"], Callable[[Any], JobResult]] = {}
_end_hooks: dict[type["Job"], Callable[[Any], None]] = {}
_postpone_hooks: dict[type["Job"], Callable[[Any], None]] = {}


def handles(model: type[J]) -> Callable[[Callable[[J], JobResult]], Callable[[J], JobResult]]:
    """Register a function that does the work of one kind of job.

    It raises `RetryLater`, `Postponed` or `JobFailed` to end otherwise than with its result; any
    other exception is retried. It may run more than once, so its effects outside the row must be
    safe to repeat.
    """
    return _register(_handlers, model)


def on_end(model: type[J]) -> Callable[[Callable[[J], None]], Callable[[J], None]]:
    """Register a function to call in the transaction that ends a job, however it ends."""
    return _register(_end_hooks, model)


def on_postpone(model: type[J]) -> Callable[[Callable[[J], None]], Callable[[J], None]]:
    """Register a function to call after a run has postponed its job."""
    return _register(_postpone_hooks, model)


def _register(registry: dict[Any, Any], model: type["Job"]) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        if model in registry:
            raise RuntimeError(f"{model._meta.label} has a handler already: {registry[model]}")
        registry[model] = function
        return function

    return register


def perform(job: "Job") -> JobResult:
    """Do the work of a claimed job."""
    return _handlers[type(job)](job)


def run_end_hook(job: "Job") -> None:
    if hook := _end_hooks.get(type(job)):
        hook(job)


def run_postpone_hook(job: "Job") -> None:
    if hook := _postpone_hooks.get(type(job)):
        hook(job)
