"""The OpenAPI schema says what a request may contain, so that no valid one is refused."""

import re
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

SCHEMA: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
COMPONENTS = SCHEMA["components"]["schemas"]
OPERATIONS = {
    f"{method} {path}": operation
    for path, methods in SCHEMA["paths"].items()
    for method, operation in methods.items()
}
PARAMETERS = {
    (name, parameter["in"], parameter["name"]): parameter
    for name, operation in OPERATIONS.items()
    for parameter in operation.get("parameters", ())
}


@pytest.mark.parametrize(
    ("component", "field", "valid", "invalid"),
    [
        ("ProductRequest", "name", ["Pump", " Pump"], ["", " ", "\u00a0\n"]),
        ("NoteRequest", "raw_text", ["The pump\nfailed."], ["", "\n\t"]),
        ("SignupRequest", "full_name", ["Mia Berg", ""], ["a\nb", "a\x00"]),
        ("LoginRequest", "username", ["mia", "mia@example.com"], ["", " "]),
        ("ProjectRequest", "name", ["North yard"], [" ", "a\tb"]),
    ],
)
def test_texts_have_a_pattern(
    component: str, field: str, valid: list[str], invalid: list[str]
) -> None:
    described = COMPONENTS[component]["properties"][field]

    def matches(text: str) -> bool:
        is_long_enough = len(text) >= described.get("minLength", 0)
        return is_long_enough and re.search(described["pattern"], text) is not None

    assert [text for text in valid if not matches(text)] == []
    assert [text for text in invalid if matches(text)] == []


def test_decimals_are_texts_or_numbers_with_as_many_digits_as_are_stored() -> None:
    text, number = COMPONENTS["ProductRequest"]["properties"]["price"]["anyOf"]
    assert re.fullmatch(text["pattern"], "29.99")
    assert not [p for p in ("-1", "1.234", "1e3", " 1", "NaN") if re.search(text["pattern"], p)]
    assert (number["minimum"], number["multipleOf"]) == (0, 0.01)


def test_an_idempotency_key_is_printable_ascii() -> None:
    keys = [p["schema"] for (_, _, name), p in PARAMETERS.items() if name == "Idempotency-Key"]
    assert keys
    for schema in keys:
        assert (schema["minLength"], schema["maxLength"]) == (1, 255)
        assert re.search(schema["pattern"], "order 17")
        assert not [key for key in (" a", "a ", "ä", "a\n") if re.fullmatch(schema["pattern"], key)]


def test_optional_query_parameters_may_be_empty() -> None:
    """Forms send empty fields."""
    query = [p for (_, place, _), p in PARAMETERS.items() if place == "query"]
    assert all(p.get("allowEmptyValue", False) != p.get("required", False) for p in query)


def test_fields_names_the_fields_of_the_rows() -> None:
    for (name, _, parameter), described in PARAMETERS.items():
        if parameter == "fields":
            assert described["explode"] is False, name
            assert len(described["schema"]["items"]["enum"]) >= 2, name
    fields = PARAMETERS["get /api/v1/products/{id}", "query", "fields"]
    assert set(fields["schema"]["items"]["enum"]) == set(COMPONENTS["Product"]["properties"])


def test_a_body_is_required_where_a_field_is() -> None:
    optional = [
        name
        for name, operation in OPERATIONS.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if COMPONENTS.get(content["schema"].get("$ref", "").rpartition("/")[2], {}).get("required")
        and not operation["requestBody"].get("required")
    ]
    assert optional == []
    for method in ("put", "patch"):
        role = OPERATIONS[f"{method} /api/v1/users/{{id}}/role"]["requestBody"]
        assert role["required"]
