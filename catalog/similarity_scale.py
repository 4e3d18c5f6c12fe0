"""What a similarity means depends on the model: for some, texts without relation have 0.7.

The scale of a model is measured on a few pairs of a query and the product that it describes.
"""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from common.ai.embeddings import Vector

PAIRS = (
    ("a seat for the garden", "Folding chair. Outdoor. Aluminium, for terrace and camping."),
    ("light for reading in bed", "Bedside lamp. Lighting. LED with a flexible arm."),
    ("listen to music", "Wireless headphones. Audio. Bluetooth, 30 hours of battery."),
    ("clean the windows", "Window squeegee. Household. Rubber blade, 35 cm."),
    ("protect the phone from scratches", "Screen protector. Accessories. Tempered glass."),
    ("etwas zum Schreiben", "Ballpoint pen. Office. Blue ink, set of ten."),
    ("Werkzeug zum Schneiden von Papier", "Scissors. Office. Stainless steel, 21 cm."),
    ("Heizung für das Zimmer", "Fan heater. Household. 2000 W with a thermostat."),
    ("Schutz vor der Sonne", "Parasol. Garden. 3 m, tilting, with a base."),
    ("transporter des bagages", "Suitcase. Travel. Four wheels, 70 litres."),
    ("laver la vaisselle", "Dishwasher. Kitchen. 12 place settings, quiet."),
    ("réparer un vélo", "Bicycle tool set. Tools. Tyre levers, hex keys and a pump."),
)
TEXTS = [text for pair in PAIRS for text in pair]


class SimilarityScale(NamedTuple):
    """Similarities up to `floor` are chance; from `ceiling` on they are perfect matches."""

    floor: float
    ceiling: float

    def strength(self, similarity: float) -> float:
        """Return how well texts of this similarity match, from 0 to 1."""
        share = (similarity - self.floor) / (self.ceiling - self.floor)
        return min(1.0, max(0.0, share))


def measure_scale(vectors: Sequence[Vector]) -> SimilarityScale:
    """Return the scale of the model that made the vectors of `TEXTS`.

    The floor is two standard deviations above the mean of texts without relation. The ceiling is
    twice as far from that mean as matching texts are on average.
    """
    queries, products = vectors[::2], vectors[1::2]
    related = [_dot(*pair) for pair in zip(queries, products, strict=True)]
    unrelated = [
        _dot(query, product)
        for i, query in enumerate(queries)
        for j, product in enumerate(products)
        if i != j
    ]
    mean = fmean(unrelated)
    floor = mean + 2 * stdev(unrelated)
    return SimilarityScale(floor, max(floor + 0.01, 2 * fmean(related) - mean))


def _dot(left: Vector, right: Vector) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))
