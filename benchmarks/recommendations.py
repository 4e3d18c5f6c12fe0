"""Measure how often recommendations contain what a person views next (hit rate at 10).

People have interests, and an interest has products of several categories. Most views are of
products of one's interests, some of popular ones, and some of any product. The last product that a
person views is hidden, and recommendations for some of the people are compared with the ten
most popular products that the person has not viewed.

    python -m benchmarks.recommendations [people [products [seed]]]

66000 people view 20000 products about a million times.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.core.management import call_command
from django.db import connection, transaction

from accounts.models import Company, User
from catalog.models import Product, ProductView
from catalog.recommendations import counting
from catalog.recommendations.selection import recommend_products
from common.ids import uuid7
from config.settings import local

TESTED_PEOPLE = 500
PRODUCTS_PER_INTEREST = 50
CATEGORIES = 40
MIN_VIEWS, MAX_VIEWS = 3, 28
INTERESTS_PER_PERSON = 2
INTEREST_SHARE, POPULAR_SHARE = 0.7, 0.2
LIMIT = 10


class Session(NamedTuple):
    """The products that a person has viewed, and the hidden next one."""

    person: User
    viewed: list[UUID]
    hidden: UUID


class Taste:
    """Draws products: those of a person's interests, popular ones and others."""

    def __init__(self, rng: random.Random, products: list[UUID]) -> None:
        self.rng = rng
        self.products = products
        # The popularity of products follows Zipf's law, in the catalogue and in each interest.
        self.interests = [
            products[start :: len(products) // PRODUCTS_PER_INTEREST]
            for start in range(len(products) // PRODUCTS_PER_INTEREST)
        ]

    def draw(self) -> Iterator[UUID]:
        """Yield the products that one person views, without end."""
        interests = self.rng.sample(self.interests, INTERESTS_PER_PERSON)
        while True:
            share = self.rng.random()
            if share < INTEREST_SHARE:
                yield self._draw_popular(self.rng.choice(interests))
            elif share < INTEREST_SHARE + POPULAR_SHARE:
                yield self._draw_popular(self.products)
            else:
                yield self.rng.choice(self.products)

    def _draw_popular(self, products: list[UUID]) -> UUID:
        return products[int(len(products) ** self.rng.random()) - 1]


def create_products(rng: random.Random, company: Company, number: int) -> list[UUID]:
    """Create products of random categories, and return their ids, the most popular first."""
    rows = [
        Product(
            company=company,
            name=f"Product {n}",
            sku=str(n),
            price=1,
            stock=1,
            category=f"Category {rng.randrange(CATEGORIES)}",
        )
        for n in range(number)
    ]
    Product.objects.bulk_create(rows, batch_size=1_000)
    return [row.pk for row in rows]


def create_sessions(
    rng: random.Random, company: Company, taste: Taste, people: int
) -> list[Session]:
    users = [
        User(company=company, username=f"viewer-{n}", email=f"viewer-{n}@example.com")
        for n in range(people)
    ]
    User.objects.bulk_create(users, batch_size=1_000)
    return [create_session(rng, user, taste) for user in users]


def create_session(rng: random.Random, user: User, taste: Taste) -> Session:
    number = rng.randint(MIN_VIEWS, MAX_VIEWS)
    drawn = list(dict.fromkeys(islice(taste.draw(), 2 * number)))
    return Session(user, drawn[:-1][:number], drawn[-1])


def store_views(sessions: list[Session]) -> int:
    """Store the views of the sessions, and return their number."""
    now, number = datetime.now(UTC), 0
    columns = "id, created_at, updated_at, company_id, user_id, product_id, day"
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY catalog_productview ({columns}) FROM STDIN") as copy:
            for session in sessions:
                person = session.person
                for age, product in enumerate(reversed(session.viewed)):
                    viewed = now - timedelta(hours=age)
                    copy.write_row(
                        (uuid7(), viewed, viewed, person.company_id, person.pk, product, viewed)
                    )
                number += len(session.viewed)
        cursor.execute("ANALYZE catalog_productview, catalog_product")
    return number


def measure(recommender: Callable[[Session], list[UUID]], sessions: list[Session]) -> float:
    """Return the share of the sessions whose hidden product is recommended."""
    hits = sum(session.hidden in recommender(session) for session in sessions)
    return hits / len(sessions)


def recommend_popular(popular: list[UUID], session: Session) -> list[UUID]:
    viewed = set(session.viewed)
    return list(islice((pk for pk in popular if pk not in viewed), LIMIT))


def recommend_as_bureau(session: Session) -> list[UUID]:
    return [
        UUID(item["id"]) for item in recommend_products(session.person, product=None, limit=LIMIT)
    ]


def main(people: int = 3_000, products: int = 2_000, seed: int = 7) -> None:
    """Fill an empty catalogue, print the results, and roll back."""
    rng = random.Random(seed)
    with transaction.atomic():
        company = Company.objects.get_or_create(code="quality", defaults={"name": "Quality"})[0]
        ProductView.objects.all().delete()
        Product.objects.all().delete()
        taste = Taste(rng, create_products(rng, company, products))
        sessions = create_sessions(rng, company, taste, people)
        views = store_views(sessions)
        started = time.perf_counter()
        counting.refresh_counts()
        seconds = time.perf_counter() - started
        print(
            f"{views} views of {products} products by {people} people: counted in {seconds:.1f} s"
        )
        tested = rng.sample(sessions, min(TESTED_PEOPLE, people))
        counts = Counter(pk for session in sessions for pk in session.viewed)
        popular = [pk for pk, _ in counts.most_common()]
        baseline = measure(lambda session: recommend_popular(popular, session), tested)
        started = time.perf_counter()
        rate = measure(recommend_as_bureau, tested)
        milliseconds = 1000 * (time.perf_counter() - started) / len(tested)
        print(f"popular products  {baseline:.3f}")
        print(f"recommendations   {rate:.3f}  {milliseconds:.1f} ms each")
        print(f"ratio             {rate / baseline:.2f}")
        transaction.set_rollback(True)


if __name__ == "__main__":
    with local:
        call_command("migrate", verbosity=0)
        main(*map(int, sys.argv[1:]))
