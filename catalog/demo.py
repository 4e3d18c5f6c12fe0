from decimal import Decimal

from accounts.models import Company
from catalog.models import Product

PRODUCTS = [
    ("Oak desk", "Furniture", "349.00", 12, "DSK-OAK-160", "Solid oak, 160 by 80 cm, oiled."),
    (
        "Standing desk",
        "Furniture",
        "599.00",
        4,
        "DSK-STD-140",
        "Height set by motor, 65 to 130 cm.",
    ),
    ("Office chair", "Furniture", "219.90", 25, "CHR-OFF-01", "With armrests and castors."),
    ("Desk lamp", "Lighting", "49.90", 60, "LMP-DSK-LED", "LED, three shades of white, dimmable."),
    ("Floor lamp", "Lighting", "129.00", 0, "LMP-FLR-02", "For reading; linen shade."),
    ("Cooling unit", "Machines", "2490.00", 2, "CLU-500", "For server rooms up to 20 m²."),
    ("Quiet fan", "Machines", "120.00", 8, "FAN-Q-120", "Fits the cooling unit, 22 dB."),
    (
        "Temperature sensor",
        "Sensors",
        "34.50",
        140,
        "SNS-T-10",
        "Radio, -40 to 85 °C, one battery.",
    ),
    ("Snow depth sensor", "Sensors", "412.00", 6, "SNS-SD-3", "Ultrasonic, up to 10 m."),
    ("Lithium battery", "Sensors", "4.20", 800, "BAT-L-AA", "AA, for sensors in the cold."),
]


def seed(company: Company) -> None:
    """Create the demo products that the company does not have yet."""
    for name, category, price, stock, sku, description in PRODUCTS:
        Product.objects.get_or_create(
            company=company,
            sku=sku,
            deleted_at=None,
            defaults={
                "name": name,
                "category": category,
                "price": Decimal(price),
                "stock": stock,
                "description": description,
            },
        )
