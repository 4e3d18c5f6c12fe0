"""What a description may say, in which form, and what the templates write."""

from dataclasses import replace
from decimal import Decimal

import pytest

from catalog.descriptions import ProductFacts, template
from catalog.descriptions.claims import find_invented_claims
from catalog.descriptions.plain_text import to_plain_text
from catalog.models import Product

FACTS = (
    "Name: Oak desk 160\nPrice: 349.00\nDescription: Solid oak, 160 by 80 cm, oiled. 65 to 130 cm "
    "high. Three shades. For 20 m². IP67. 1.234,5 kg, 22 dB, -40 to 85 °C, USB 3.2, 12V, 10 000 mAh"
)
FACTS_DE = "Name: Akku\nBeschreibung: Drei Zellen, 2,5 Ah, fünf Jahre Garantie, 1.500 Ladungen."


class TestClaims:
    @pytest.mark.parametrize(
        "text",
        [
            "160 cm × 80 cm, from 65 cm to 130 cm high",
            "in three shades, in 3 shades, one of the best",
            "IP67, IP 67, USB 3.2",
            "1234.5 kg, 1,234.5 kilograms, 10,000 mAh, 10000mAh",
            "for 20 m2, 20 sqm",
            "12 V, a 12-volt motor, 12 volts",
            "at -40 °C to 85 °C, 22 decibels",
            "only 349",
        ],
    )
    def test_what_the_facts_say_is_known_in_other_words(self, text: str) -> None:
        assert find_invented_claims(text, FACTS, language="en") == []

    @pytest.mark.parametrize(
        ("text", "claim"),
        [
            ("It weighs 12 kg.", "12 kg"),
            ("It is 160 kg heavy.", "160 kg"),
            ("A two-year warranty.", "2-year"),
            ("For five years.", "5 years"),
            ("A one year warranty.", "1 year"),
            ("In twenty-five colours.", "25"),
            ("Protected by IP65.", "IP65"),
            ("For 349 €.", "349 €"),
            ("For $349.", "$349"),
            ("100% oak.", "100%"),
            ("USB 3.1", "3.1"),
            ("Weighs ٣ kg.", "٣ kg"),
            ("Weighs ５ kg.", "5 kg"),
            ("A power of some kilowatts.", "kilowatts"),
            ("Carries 1234 kg.", "1234 kg"),
        ],
    )
    def test_other_numbers_and_units_are_invented(self, text: str, claim: str) -> None:
        assert find_invented_claims(text, FACTS, language="en") == [claim]

    @pytest.mark.parametrize(
        ("text", "claims"),
        [
            ("3 Zellen mit 2.5 Ah, 1500 Ladungen, 5-jährige Garantie", []),
            ("fünfjährige Garantie", []),
            ("zweijährige Garantie", ["2jährige"]),
            ("zwölf Monate Garantie", ["12 Monate"]),
            ("fünfundzwanzig Zellen", ["25"]),
            ("ein Jahr Garantie", ["1 Jahr"]),
        ],
    )
    def test_german_words_are_numbers_too(self, text: str, claims: list[str]) -> None:
        assert find_invented_claims(text, FACTS_DE, language="de") == claims

    def test_long_words_take_linear_time(self) -> None:
        assert find_invented_claims("a" * 100_000 + "1" * 20_000, FACTS, language="en")

    @pytest.mark.parametrize(
        ("facts", "text"),
        [
            ("Weight (kg): 12", "It weighs 12 kg."),
            ("Width in cm: 160, weight_kg=12", "160 cm wide, 12 kilograms"),
            ("35'' w x 24\" d x 6' h", "35 inches wide, 24 inches deep and 6 feet high"),
            ("12 in wide", "12 inches, 12″, 12 in."),
            ("1,5 l", "1.5 litres"),
            ("Größe ½ m", "1⁄2 m"),
            ("重量5kg", "重量5kgです"),
        ],
    )
    def test_facts_write_units_in_many_ways(self, facts: str, text: str) -> None:
        assert find_invented_claims(text, facts, language="en") == []

    def test_a_quotation_mark_is_no_unit(self) -> None:
        assert find_invented_claims('The "Desk 160" by us', FACTS, language="en") == []


class TestPlainText:
    @pytest.mark.parametrize(
        ("text", "plain"),
        [
            (
                "**Bold** and *it* <b>x</b>\n\n# Head\n- a\n1. one",
                "Bold and it x\n\nHead\na\n1. one",
            ),
            ("1. one\n2. two", "one\ntwo"),
            ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b\n1, 2"),
            ("&lt;script&gt;alert(1)&lt;/script&gt;Hi", "Hi"),
            ("&amp;lt;b&amp;gt;Hi", "Hi"),
            ("Hi <img src=x onerror=alert(1)", "Hi"),
            ("<style>p{}</style><p>One</p><p>Two<br>Three</p>", "One\nTwo\nThree"),
            ("Hi<!-- no --> there", "Hi there"),
            ("```html\n<p>Hi &amp; ho</p>\n```", "Hi & ho"),
            ("[link](http://x.y) and `code`, 3 < 5 > 2", "link and code, 3 < 5 > 2"),
            ('"Quoted."', "Quoted."),
            ("„Zitiert.“", "Zitiert."),
            ("a__b and 5 * 3", "ab and 5 * 3"),
            ("<b></b>", ""),
            ("<<a>script>", ""),
        ],
    )
    def test_markup_is_removed(self, text: str, plain: str) -> None:
        assert to_plain_text(text) == plain

    def test_hostile_markup_takes_linear_time(self) -> None:
        for piece in ("<a", "<!--", "&lt;", "[a", "**a ", "<script>", "> "):
            to_plain_text(piece * 10_000)


class TestTemplate:
    FACTS = ProductFacts("Green tea", "Food > Drinks", "T-1", Decimal(5), "Fine tea. 100 g.")

    def test_says_the_facts_that_are_there(self) -> None:
        assert template.write_description(self.FACTS) == (
            "Green tea from our range “Drinks”. Fine tea.\n\nContents: 100 g.\n\n"
            "Article number: T-1."
        )
        bare = replace(self.FACTS, category="", sku="", description="")
        assert template.write_description(bare) == "Green tea."

    def test_has_no_markup_of_names_but_their_signs(self) -> None:
        product = Product(
            name="Lamp <script>alert(1)</script>&lt;b&gt;A*1*&lt;/b&gt; <20 W",
            category="<i>Lighting</i>",
            sku='L_1_<img src="x">',
            price=5,
        )
        assert template.write_description(ProductFacts.of(product)) == (
            "Lamp A*1* <20 W from our range “Lighting”.\n\nArticle number: L_1_."
        )
        only_markup = Product(name="<script>x</script>", category="Lamps", price=5)
        assert template.write_description(ProductFacts.of(only_markup)) == "Lamps."

    def test_speaks_german_of_a_german_product(self) -> None:
        facts = ProductFacts("Tisch", "Möbel", "", Decimal(5), "Aus Eiche. 3 Beine. Größe 2 m.")
        assert template.write_description(facts) == (
            "Tisch aus unserem Sortiment „Möbel“. Aus Eiche.\n\n"
            "Material und Maße: 3 Beine. Größe 2 m."
        )

    @pytest.mark.parametrize(
        ("category", "label"),
        [
            ("Desk lamps", "Light and measures"),
            ("Furniture", "Materials and measures"),
            ("Sensors", "Technical data"),
            ("Shoes", "Material and size"),
            ("Books", "Details"),
        ],
    )
    def test_the_category_chooses_the_label_of_details(self, category: str, label: str) -> None:
        text = template.write_description(replace(self.FACTS, category=category))
        assert f"\n\n{label}: 100 g." in text

    def test_invents_nothing_and_repeats_nothing(self) -> None:
        text = template.write_description(self.FACTS)
        again = replace(self.FACTS, description=text)
        assert template.write_description(again) == text
        assert find_invented_claims(text, self.FACTS.to_text(), language="en") == []

    def test_keeps_all_of_a_long_description(self) -> None:
        sentences = " ".join(f"It has part number {n}." for n in range(700))
        text = template.write_description(replace(self.FACTS, description=sentences))
        assert sentences in text
        longest = "x" * 20_000
        assert template.write_description(replace(self.FACTS, description=longest)) == longest
