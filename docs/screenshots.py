"""Take the README's pictures of a running installation with a browser: `make screenshots`.

Fails where a page logs an error or breaks its Content-Security-Policy. Needs Chromium with its
driver (Debian: chromium, chromium-driver), and `make run` in another terminal, at BASE.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

BASE = os.environ.get("BASE", "http://localhost:8000")
LOGIN = ("admin@example.com", os.environ.get("PASSWORD", "admin123"))
IMAGES = Path(__file__).with_name("images")
SIZE = (1360, 850)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)
# The path of each picture, and the CSS selector of an element that must be there first.
PAGES = {
    "admin": ("/admin/", "#main"),
    "admin-people": ("/admin/accounts/user/", "#result_list"),
    "admin-person": ("/admin/accounts/user/{user}/change/", "form"),
    "admin-notes": ("/admin/notes/note/", "#result_list"),
    "admin-note": ("/admin/notes/note/{note}/change/", "form"),
    "admin-products": ("/admin/catalog/product/", "#result_list"),
    "admin-sessions": ("/admin/uploads/session/", "#result_list"),
    "docs": ("/docs", ".opblock"),
    "docs-operation": ("/docs#/notes/notes_create", ".opblock-body .responses-wrapper"),
    "redoc": ("/redoc#tag/notes/operation/notes_create", "[data-section-id] h2"),
    "browsable": ("/api/v1/products", ".prettyprint span"),
}
# The pictures of the README; the others are taken only for a look, into another folder.
KEPT = {"admin", "admin-notes", "admin-sessions", "redoc", "browsable"}

PRODUCTS = (
    ("Cooling pump", "Pumps", "289.00", 12),
    ("Drone battery", "Drones", "89.90", 0),
    ("Survey marker, 50 pieces", "Field", "24.00", 140),
    ("Calibration target", "Field", "59.00", 3),
)
NOTES = {
    "Pump failure": "The cooling pump failed on Monday. Bob replaced it on Tuesday with the spare "
    "one. A new spare has to be ordered before December. The north hall stood still for two hours.",
    "Survey of the north yard": "The drone flew at 60 metres and took 412 frames. Eleven are "
    "blurred because of the wind. We fly again on Thursday, earlier in the day.",
    "Budget talk": "Olivia wants the numbers by Friday. Field work cost 12 percent more than "
    "planned, mostly travel. We agreed to share cars from April on.",
}
# ReDoc's own logo, which our policy blocks, and a warning of Swagger UI for its developers.
KNOWN_ERRORS = ("cdn.redoc.ly", "escaping deep link")


def is_known(text: str) -> bool:
    return any(part in text for part in KNOWN_ERRORS)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    keep = set(PAGES) | {"login"} if folder != IMAGES else KEPT
    ids = prepare()
    errors = []
    browser = start()
    try:
        browser.get(f"{BASE}/admin/login/")
        save(browser, folder, "login", keep)
        sign_in(browser)
        for name, (path, ready) in PAGES.items():
            browser.get("about:blank")  # else another fragment of the same page would not load
            browser.get(BASE + path.format(**ids))
            element = (By.CSS_SELECTOR, ready)
            WebDriverWait(browser, 20).until(presence_of_element_located(element), name)
            time.sleep(1.5)
            save(browser, folder, name, keep)
            messages = [entry["message"] for entry in browser.get_log("browser")]
            errors += [f"{name}: {text}" for text in messages if not is_known(text)]
    finally:
        browser.quit()
    print("\n".join(errors) or "No page logged an error.")
    return 1 if errors else 0


def start() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


def prepare() -> dict[str, str]:
    """Create rows by the API; return the ids of those that have pages in `PAGES`."""
    token = call("/auth/login", {"email": LOGIN[0], "password": LOGIN[1]})["access_token"]
    for name, category, price, stock in PRODUCTS:
        if call(f"/products?name={name.split()[0]}", token=token)["total"] == 0:
            product = {"name": name, "category": category, "price": price, "stock": stock}
            call("/products", product, token)
    for title, text in NOTES.items():
        if call(f"/notes?search={title.split()[0]}", token=token)["total"] == 0:
            call("/notes", {"title": title, "raw_text": text}, token)
    time.sleep(4)
    note = call("/notes?search=Pump", token=token)["items"][0]["id"]
    user = call("/users?search=ann", token=token)["items"][0]["id"]
    return {"note": note, "user": user}


def call(path: str, body: object = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {token}"} if token else {}
    )
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{BASE}/api/v1{path}", data, headers), timeout=20) as response:
        return json.load(response)


def sign_in(browser: webdriver.Chrome) -> None:
    browser.find_element(By.NAME, "username").send_keys(LOGIN[0])
    browser.find_element(By.NAME, "password").send_keys(LOGIN[1])
    browser.find_element(By.CSS_SELECTOR, "form [type=submit]").click()
    WebDriverWait(browser, 20).until(lambda b: "login" not in b.current_url)


def save(browser: webdriver.Chrome, folder: Path, name: str, keep: set[str]) -> None:
    if name not in keep:
        return
    file = folder / f"{name}.png"
    browser.save_screenshot(str(file))
    if pngquant := shutil.which("pngquant"):
        command = [pngquant, "--force", "--ext", ".png", "--speed", "1", "64", str(file)]
        subprocess.run(command, check=True)
    print(f"{file} {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    sys.exit(main())
