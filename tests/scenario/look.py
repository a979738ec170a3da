"""Looks at the coordinator's page with Debian's chromium, by playwright (PyPI).

    look.py URL OUT WIDTH HEIGHT light|dark    writes OUT.html, as it is after some seconds, and OUT.png; fails where
                                               the browser complains, or the page is wider than its window
"""
import sys

from playwright.sync_api import sync_playwright

url, out, width, height, scheme = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
said, asked = [], []
with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
    page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    page.on("console", lambda m: said.append(m.text))
    page.on("pageerror", lambda e: said.append(str(e)))
    page.on("request", lambda r: asked.append(r.url))
    page.goto(url)
    page.wait_for_selector("body[data-shown=yes]", timeout=120000)
    page.wait_for_function("document.getElementById('live').textContent === 'live'", timeout=120000)
    page.screenshot(path=f"{out}.png", full_page=True)
    with open(f"{out}.html", "w", encoding="utf-8") as f:
        f.write(page.content())
    wide = page.evaluate("document.documentElement.scrollWidth")
    browser.close()
if said:
    sys.exit(f"the browser says: {said}")
if wide > width:
    sys.exit(f"the page is {wide} wide, in a window of {width}")
for other in (a for a in asked if not a.startswith(url)):
    sys.exit(f"it asked for {other}")
