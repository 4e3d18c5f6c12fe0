"""Units of measure and number words, by which invented claims are found."""

import re

# The unit, then its names. Names of one letter are compared with their case, others without.
_UNIT_NAMES = """
mm millimeter millimetre millimeters millimetres millimetern
cm centimeter centimetre centimeters centimetres zentimeter zentimetern
m meter metre meters metres metern
km kilometer kilometre kilometers kilometres kilometern
inch inches zoll
foot feet ft fuß
mile miles meile meilen
m2 sqm qm quadratmeter
m3 cbm kubikmeter
mg milligram milligrams milligramm
g gram grams gramm gramme grammes
kg kilo kilos kilogram kilograms kilogramm kilogramme
t tonne tonnes tonnen tons
oz ounce ounces unze unzen
lb lbs pound pounds pfund
ml milliliter millilitre milliliters millilitres
cl centiliter centilitre zentiliter
l L liter litre liters litres litern
gal gallon gallons gallonen
W watt watts
kW kilowatt kilowatts
Wh wattstunden
kWh kilowattstunden
V volt volts
A amp amps ampere
mA milliampere
Ah amperestunden
mAh milliamperestunden
Hz hertz
kHz kilohertz
MHz megahertz
GHz gigahertz
KB kilobyte kilobytes
MB megabyte megabytes
GB gigabyte gigabytes
TB terabyte terabytes
Mbps mbit/s
Gbps gbit/s
dB decibel decibels dezibel
lm lumen lumens
lx lux
N newton
Nm newtonmeter
Pa pascal
hPa hektopascal
bar bars
psi
rpm u/min
dpi
px pixel pixels
MP megapixel megapixels
km/h kmh kph mph
°C celsius
°F fahrenheit
° degree degrees grad
% percent prozent
s sec second seconds sekunde sekunden
min minute minutes minuten minütige minütigen
h hr hrs hour hours stunde stunden stündige
day days tag tage tagen tägige
week weeks woche wochen wöchige
month months monat monate monaten monatige monatigen
year years jahr jahre jahren jährige jährigen jähriger jähriges yr yrs
€ eur euro euros
$ usd dollar dollars
£ gbp
¥ yen
chf franken
"""
UNITS = {
    name if len(name) == 1 else name.casefold(): line.split()[0]
    for line in _UNIT_NAMES.split("\n")
    for name in line.split()
}
# Names that mean a measure also without a number; the others have further meanings.
DISTINCT_NAMES = frozenset(
    name
    for name in UNITS
    if len(name) > 3
    and UNITS[name]
    not in {"s", "min", "h", "day", "week", "month", "year", "inch", "foot", "lb", "bar", "°", "t"}
)
CURRENCIES = r"[$€£¥]|(?:USD|EUR|GBP|CHF)(?![^\W\d_])"
UNIT_PATTERN = "|".join(
    re.escape(name) if len(name) == 1 else f"(?i:{re.escape(name)})"
    for name in sorted(UNITS, key=len, reverse=True)
)

_ONES = {
    "en": "one two three four five six seven eight nine",
    "de": "ein zwei drei vier fünf sechs sieben acht neun",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
}
# From 2, because 1 is also an article; "_" stands for words with other meanings.
_SMALL = {
    "en": "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
    "de": "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn",
    "fr": "deux trois quatre cinq six sept huit _ dix onze douze treize quatorze quinze",
    "es": "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince",
}
_LARGE = {
    "en": {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 1_000_000},
    "de": {"dutzend": 12, "hundert": 100, "tausend": 1000, "million": 1_000_000},
    "fr": {"vingt": 20, "trente": 30, "cent": 100, "mille": 1000},
    "es": {"veinte": 20, "treinta": 30, "cien": 100, "mil": 1000},
}
ARTICLES = re.compile(
    rf"\b(?:one|ein|eine|einen|einem|einer)(?=[ -](?:{UNIT_PATTERN})(?!\w))", re.IGNORECASE
)


def build_number_words(language: str) -> dict[str, int]:
    """Return the number words of a language; those of English if it has no list."""
    code = language if language in _SMALL else "en"
    words = {word: n for n, word in enumerate(_SMALL[code].split(), start=2)} | _LARGE[code]
    for tens_value, tens in enumerate(_TENS.get(code, "").split(), start=2):
        words[tens] = tens_value * 10
        for value, one in enumerate(_ONES[code].split(), start=1):
            word = f"{one}und{tens}" if code == "de" else f"{tens}-{one}"
            words[word] = tens_value * 10 + value
    words.pop("_", None)
    return words
