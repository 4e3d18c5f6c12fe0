"""Counting which products people view together.

The score of a pair is the cosine of their viewers, which damps popular products: they are viewed
together with everything. It is multiplied by n / (n + `SHRINKAGE`) for n people who viewed both,
because few people prove little.

Each batch of products is counted by one statement in a transaction of its own. So a killed run
continues where it was, no transaction is long, and memory does not grow with the number of views.
"""

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from catalog.models import CoView, ProductPopularity

NIGHTLY_HOUR = 2
BATCH_PRODUCTS = 200
# For sorting and grouping the pairs of a batch; larger ones go to the disk.
WORK_MEM_MB = 32
# The latest views of each person that are counted: who views everything tells little.
MAX_VIEWS_PER_PERSON = 50
MAX_CO_VIEWS = 20
# One person's views alone never show.
MIN_PEOPLE = 2
SHRINKAGE = 5

COUNT_PEOPLE = """
    INSERT INTO catalog_productpopularity AS popularity (product_id, people)
    SELECT product_id, count(DISTINCT user_id) FROM catalog_productview
    GROUP BY product_id ORDER BY product_id
    ON CONFLICT (product_id) DO UPDATE SET people = EXCLUDED.people
    WHERE popularity.people <> EXCLUDED.people
"""
# PostgreSQL has no statistics of a table that was just filled, and chooses slow plans.
ANALYZE = "ANALYZE catalog_productview, catalog_productpopularity"
DELETE_UNVIEWED = """
    DELETE FROM catalog_productpopularity popularity WHERE NOT EXISTS (
        SELECT FROM catalog_productview WHERE product_id = popularity.product_id
    )
"""
DELETE_UNVIEWED_PAIRS = """
    DELETE FROM catalog_coview pair WHERE NOT EXISTS (
        SELECT FROM catalog_productpopularity WHERE product_id = pair.product_id
    )
"""
INSERT_CO_VIEWS = f"""
    INSERT INTO catalog_coview (product_id, other_id, score)
    WITH person AS MATERIALIZED (
        SELECT DISTINCT user_id FROM catalog_productview WHERE product_id = ANY(%(products)s)
    ), recent AS MATERIALIZED (
        SELECT array_agg(DISTINCT product_id) AS products FROM person, LATERAL (
            SELECT product_id FROM catalog_productview view WHERE view.user_id = person.user_id
            ORDER BY created_at DESC LIMIT {MAX_VIEWS_PER_PERSON}
        ) latest GROUP BY user_id
    ), pair AS MATERIALIZED (
        SELECT product_id, other_id, count(*)::float AS people
        FROM recent, unnest(products) product_id, unnest(products) other_id
        WHERE product_id = ANY(%(products)s) AND product_id <> other_id
        GROUP BY 1, 2 HAVING count(*) >= {MIN_PEOPLE}
    ), scored AS (
        SELECT pair.product_id, other_id, pair.people / sqrt(one.people::float * two.people)
            * pair.people / (pair.people + {SHRINKAGE}) AS score
        FROM pair
        JOIN catalog_productpopularity one ON one.product_id = pair.product_id
        JOIN catalog_productpopularity two ON two.product_id = other_id
        JOIN catalog_product other ON other.id = other_id AND other.deleted_at IS NULL
        JOIN accounts_company company ON company.id = other.company_id AND company.is_active
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY product_id ORDER BY score DESC, other_id) AS rank
        FROM scored
    )
    SELECT product_id, other_id, least(score, 1) FROM ranked WHERE rank <= {MAX_CO_VIEWS}
"""  # noqa: S608


def refresh_counts() -> int:
    """Count the viewers of all products, then the co-views that are due; return for how many.

    Co-views are due once a night, and for a product that is viewed for the first time.
    """
    count_people()
    total = 0
    while counted := _count_batch():
        total += counted
    return total


@transaction.atomic
def count_people() -> None:
    """Count who viewed each product, and forget the products that nobody views any more."""
    with connection.cursor() as cursor:
        for statement in (COUNT_PEOPLE, DELETE_UNVIEWED, DELETE_UNVIEWED_PAIRS, ANALYZE):
            cursor.execute(statement)


@transaction.atomic
def _count_batch() -> int:
    """Count the co-views of a batch of due products; return its size.

    Another process that counts at the same time skips these products.
    """
    is_due = Q(counted_at=None) | Q(counted_at__lt=_last_night())
    due = ProductPopularity.objects.filter(is_due).order_by("product")
    rows = due.select_for_update(skip_locked=True).values_list("product", flat=True)
    products = list(rows[:BATCH_PRODUCTS])
    if products:
        CoView.objects.filter(product__in=products).delete()
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL work_mem = '{WORK_MEM_MB}MB'")
            cursor.execute(INSERT_CO_VIEWS, {"products": products})
        ProductPopularity.objects.filter(pk__in=products).update(counted_at=Now())
    return len(products)


def _last_night() -> datetime:
    now = datetime.now(UTC)
    night = now.replace(hour=NIGHTLY_HOUR, minute=0, second=0, microsecond=0)
    return night if night <= now else night - timedelta(days=1)
