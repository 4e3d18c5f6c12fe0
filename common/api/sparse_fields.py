"""`?fields=id,title`: lists and rows with only the fields that the client names."""

from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.pagination import PageResponse
from common.api.text import find_nearest, shorten
from common.api.views import APIView

PARAMETER = "fields"
DESCRIPTION = (
    "Only these fields of each row, separated by commas. The response then lacks the others, also "
    "those that the schema requires. Default: all that are described."
)
# A query can have thousands of unknown names.
MAX_NAMES_REPORTED = 5
MIN_SIMILARITY = 60


class SparseFieldsMixin(APIView, GenericAPIView):
    """Answers to GET have only the fields that `?fields=` names; an unknown name is an error.

    The names are those of the view's serializer. Pages keep their envelope.
    """

    read_parameters: tuple[str, ...] = (PARAMETER,)
    # None: all fields.
    requested_fields: tuple[str, ...] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        names = _parse_names(request)
        if request.method in ("GET", "HEAD") and names:
            _check_names(names, self._known_names())
            self.requested_fields = names

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        names = self.requested_fields
        if names and response.status_code == 200:
            if isinstance(response, PageResponse):
                response.data["items"] = [_pick(row, names) for row in response.data["items"]]
            else:
                response.data = _pick(response.data, names)
        return super().finalize_response(request, response, *args, **kwargs)

    def _known_names(self) -> list[str]:
        fields: Any = self.get_serializer().fields  # type: ignore[attr-defined]
        return [name for name, field in fields.items() if not field.write_only]


def _pick(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}


def _parse_names(request: Request) -> tuple[str, ...]:
    texts = request.query_params.getlist(PARAMETER)
    names = (name.strip() for text in texts for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _check_names(names: tuple[str, ...], known: list[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        reported = unknown[:MAX_NAMES_REPORTED]
        raise ValidationError({PARAMETER: [_unknown_name_error(n, known) for n in reported]})


def _unknown_name_error(name: str, known: list[str]) -> ErrorDetail:
    nearest = find_nearest(name, known, min_similarity=MIN_SIMILARITY)
    hint = f"Did you mean {nearest!r}?" if nearest else f"Known: {', '.join(known)}."
    return ErrorDetail(f"There is no field {shorten(name)!r}. {hint}", code="unknown_field")
