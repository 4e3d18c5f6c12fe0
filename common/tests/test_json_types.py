"""The types of values in JSON bodies."""

from typing import Any

import pytest
from django.http import QueryDict
from rest_framework import serializers

from common.api.serializers import Serializer


class ExampleSerializer(Serializer):
    text = serializers.CharField(required=False)
    number = serializers.IntegerField(required=False)
    share = serializers.FloatField(required=False)
    amount = serializers.DecimalField(max_digits=5, decimal_places=2, required=False)
    flag = serializers.BooleanField(required=False)
    key = serializers.UUIDField(required=False)
    texts = serializers.ListField(child=serializers.CharField(), required=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 5),
        ("text", 1.5),
        ("number", "5"),
        ("number", True),
        ("share", "0.5"),
        ("flag", "true"),
        ("flag", 1),
        ("key", 5),
        ("texts", ["a", 5]),
    ],
)
def test_a_value_of_another_type_is_refused(field: str, value: Any) -> None:
    serializer = ExampleSerializer(data={field: value})
    assert not serializer.is_valid()
    assert set(serializer.errors) == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "5"),
        ("number", 5),
        ("share", 1),
        ("amount", 1.5),
        ("amount", "1.50"),
        ("flag", True),
    ],
)
def test_a_value_of_the_right_type_is_accepted(field: str, value: Any) -> None:
    assert ExampleSerializer(data={field: value}).is_valid()


def test_forms_send_all_values_as_texts() -> None:
    serializer = ExampleSerializer(data=QueryDict("number=5&flag=true&share=0.5&amount=1.5"))
    assert serializer.is_valid()
    assert serializer.validated_data["number"] == 5
