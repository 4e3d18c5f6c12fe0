"""The registry of the functions that do the work of each job model.

Each app registers its handlers in its `tasks.py`, which `common.apps` imports at start:

    @handles(Mail)
    def send(mail: Mail) -> JobResult: ...

So a model does not import the code that runs it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from django.db.models import Model

J = TypeVar("J", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """The columns to store when a run succeeds.

    A job model with further columns subclasses it; a field has the name of its column. Set
    `status` for a job that can end in another state than `completed`.
    """

    status: str = "completed"

    def columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


_handlers: dict[type[Model], Callable[[Any], JobResult]] = {}
_end_hooks: dict[type[Model], Callable[[Any], None]] = {}
_postpone_hooks: dict[type[Model], Callable[[Any], None]] = {}


def handles(model: type[J]) -> Callable[[Callable[[J], JobResult]], Callable[[J], JobResult]]:
    """Register the function that does the work of a job model.

    It returns a result or raises `RetryLater`, `Postponed` or `JobFailed`; after any other
    exception the job is retried. It may run more than once for one job, so its effects outside
    the row must be safe to repeat.
    """
    return _register(_handlers, model)


def on_end(model: type[J]) -> Callable[[Callable[[J], None]], Callable[[J], None]]:
    """Register a function to call in each transaction that ends a job, in whatever state."""
    return _register(_end_hooks, model)


def on_postpone(model: type[J]) -> Callable[[Callable[[J], None]], Callable[[J], None]]:
    """Register a function to call after a run has postponed its job."""
    return _register(_postpone_hooks, model)


def _register(registry: dict[Any, Any], model: type[Model]) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        if model in registry:
            raise RuntimeError(f"{model._meta.label} already has a handler: {registry[model]}")
        registry[model] = function
        return function

    return register


def perform(job: Model) -> JobResult:
    """Do the work of a claimed job."""
    return _handlers[type(job)](job)


def run_end_hook(job: Model) -> None:
    if hook := _end_hooks.get(type(job)):
        hook(job)


def run_postpone_hook(job: Model) -> None:
    if hook := _postpone_hooks.get(type(job)):
        hook(job)
