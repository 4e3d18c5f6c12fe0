from decimal import Decimal

from django.utils import timezone

from accounts.models import Company, User
from catalog import services
from catalog.models import Product, ProductView
from catalog.recommendations import counting, view_recording
from catalog.recommendations.pending_views import PendingView

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
    ("Marine lantern", "Lighting", "89.00", 15, "LTN-MAR-1", "Brass, waterproof, for the deck."),
    ("Head torch", "Lighting", "24.90", 70, "TRC-HEAD", "LED, 300 lumens, with a strap."),
    ("Cool box", "Outdoor", "79.00", 18, "BOX-COOL-40", "40 litres; holds ice for two days."),
    ("Sleeping bag", "Outdoor", "99.00", 22, "BAG-SLP-3", "For three seasons, down to -5 °C."),
    ("Tent", "Outdoor", "249.00", 9, "TNT-2P", "For two people, 2.4 kg, waterproof."),
    ("Rain jacket", "Clothing", "119.00", 30, "JKT-RAIN", "Taped seams and a hood."),
    ("Rubber boots", "Clothing", "39.00", 44, "BTS-RUB", "Up to the knee, with a steel toe."),
    ("Wool blanket", "Household", "59.00", 16, "BLK-WOOL", "New wool, 150 by 200 cm."),
    ("Vacuum cleaner", "Household", "189.00", 11, "VAC-700", "700 W, for carpets and floors."),
    ("Wall clock", "Household", "29.00", 25, "CLK-WALL", "Quartz, 30 cm, silent."),
    ("Electric kettle", "Kitchen", "39.90", 35, "KTL-E-17", "1.7 litres, boils in four minutes."),
    ("Coffee machine", "Kitchen", "449.00", 5, "COF-AUTO", "Espresso from whole beans."),
    ("Insulated bottle", "Kitchen", "27.50", 90, "BTL-INS-1", "Steel, hot for twelve hours."),
    ("Safety helmet", "Protection", "18.90", 120, "HLM-SAFE", "For building sites, adjustable."),
    ("Ear defenders", "Protection", "22.00", 75, "EAR-DEF-30", "30 dB, foldable."),
    ("Work gloves", "Protection", "7.90", 300, "GLV-WORK", "Leather palm, sizes 8 to 11."),
    ("First aid kit", "Protection", "34.00", 40, "KIT-AID", "Plasters, bandages and scissors."),
    ("Fire extinguisher", "Protection", "65.00", 20, "EXT-FIRE-6", "Powder, 6 kg, with a bracket."),
    ("Cordless drill", "Tools", "139.00", 14, "DRL-18V", "18 V, two batteries, 60 Nm."),
    ("Hand saw", "Tools", "24.00", 33, "SAW-HND-55", "550 mm, hardened teeth."),
    ("Tape measure", "Tools", "9.50", 150, "TPM-5", "5 m, magnetic hook."),
    ("Extension ladder", "Tools", "210.00", 7, "LDR-EXT-7", "Aluminium, 7 m in two parts."),
    ("Lawn mower", "Garden", "329.00", 6, "MWR-36", "Battery, 36 cm wide, quiet."),
    ("Watering can", "Garden", "16.00", 50, "CAN-WTR-10", "10 litres, zinc, fine rose."),
    ("Bird feeder", "Garden", "21.00", 28, "FDR-BIRD", "For seeds and fat balls, to hang."),
    ("Paper shredder", "Office", "89.00", 10, "SHR-P4", "Cross cut, twelve sheets at once."),
    ("Filing cabinet", "Office", "159.00", 8, "CAB-FIL-3", "Steel, three drawers, lockable."),
    ("Whiteboard", "Office", "74.00", 13, "BRD-WHT", "Magnetic, 120 by 90 cm."),
]


# The SKUs of the products that the demo company's people have viewed.
VIEWS = {
    "admin": ("DSK-OAK-160", "CHR-OFF-01", "LMP-DSK-LED", "CLU-500", "FAN-Q-120"),
    "colleague": ("DSK-OAK-160", "CHR-OFF-01", "LMP-DSK-LED", "SNS-T-10", "BAT-L-AA"),
    "agent": ("DSK-OAK-160", "SNS-T-10"),
}


def seed(people: dict[str, User]) -> None:
    """Create the demo products that the company does not have yet, and views of some."""
    company = people["admin"].company
    seed_products(people["admin"].company, by=people["admin"])
    if not ProductView.objects.filter(company=company).exists():
        seed_views(people)


def seed_products(company: Company, *, by: User | None = None) -> None:
    live = Product.objects.live().filter(company=company)
    existing = set(live.values_list("sku", flat=True))
    for name, category, price, stock, sku, description in PRODUCTS:
        if sku not in existing:
            product = Product(
                company=company,
                name=name,
                category=category,
                price=Decimal(price),
                stock=stock,
                sku=sku,
                description=description,
            )
            services.create_product(product, by=by)


def seed_views(people: dict[str, User]) -> None:
    """Create views of today, and count them."""
    company = people["admin"].company
    products = Product.objects.live().filter(company=company)
    ids = dict(products.values_list("sku", "pk"))
    today = timezone.now().date()
    view_recording.insert_views(
        [
            PendingView(company.pk, people[name].pk, ids[sku], today)
            for name, skus in VIEWS.items()
            for sku in skus
            if sku in ids
        ]
    )
    counting.refresh_counts()
