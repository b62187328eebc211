"""Companies and goods that do not exist, so that the demo reads like a real business."""

FIRST = (
    "Adler", "Alpine", "Aurora", "Baltic", "Birch", "Bluewater", "Bramble", "Bright", "Cedar",
    "Cobalt", "Copper", "Coral", "Delta", "Elbe", "Ember", "Fjord", "Granite", "Harbour", "Hazel",
    "Ibis", "Indigo", "Juniper", "Kestrel", "Lakeside", "Linden", "Lumen", "Maple", "Meridian",
    "Mistral", "Nimbus", "Northgate", "Oakfield", "Orchard", "Osprey", "Pebble", "Polar", "Quartz",
    "Redwood", "Rowan", "Saffron", "Sakura", "Silverline", "Solstice", "Tamarind", "Thistle",
    "Tideway", "Umbra", "Vantage", "Willow", "Zephyr",
)  # fmt: skip
SECOND = (
    "Analytics", "Bakery", "Bikes", "Books", "Brewing", "Catering", "Clinics", "Coffee", "Dairy",
    "Design", "Energy", "Foods", "Freight", "Gardens", "Glass", "Health", "Instruments", "Labs",
    "Logistics", "Marine", "Media", "Mills", "Motors", "Optics", "Outdoor", "Paper", "Print",
    "Robotics", "Studios", "Textiles", "Tools", "Travel",
)  # fmt: skip
LEGAL = {"eur": ("GmbH", "AG", "S.A."), "gbp": ("Ltd", "plc"), "usd": ("Inc.", "LLC"), "jpy": ("K.K.",)}
PLACES = {
    "eur": (("Hamburg", "DE", "20457"), ("Lyon", "FR", "69002"), ("Rotterdam", "NL", "3011 AA")),
    "gbp": (("Leeds", "GB", "LS1 4DY"), ("Bristol", "GB", "BS1 5TR")),
    "usd": (("Portland", "US", "97205"), ("Austin", "US", "78701")),
    "jpy": (("Osaka", "JP", "530-0001"), ("Kyoto", "JP", "600-8216")),
}
STREETS = ("Harbour Street", "Mill Lane", "Station Road", "Market Square", "Garden Row")
GOODS = (
    "Platform, monthly", "Platform, yearly", "Onboarding workshop", "Support, priority",
    "Extra seats", "Storage, 1 TB", "Integration package", "Training day", "Hardware rental",
    "Consulting hours",
)  # fmt: skip
