"""Every tab in both languages, light and dark, on a desktop and on a phone: no finding of axe, and no English left."""

from pathlib import Path

import pytest

from browser.alone import DESKTOP, PHONE, READY, SHOTS, TABS, full, open_page  # noqa: F401

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = """async () => {
    const { violations } = await axe.run(document);
    return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary: why }) => `${id}: ${html.slice(0, 150)} ${why}`));
}"""
ENGLISH = """() => {
    const data = ".id, .group, .key, .twin, .name, .examples, [translate=no], option, h2, td[data-title], [lang=en]";
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const { data: text, parentElement: parent } = walker.currentNode;
        if (!parent.closest(data) && /[A-Za-z]{2,} [a-z]{2,}/.test(text)) found.push(text);
    }
    return found;
}"""


def _axe(page, what):
    page.wait_for_timeout(400)  # until pictures have faded in
    assert page.evaluate(SERIOUS) == [], what
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what


def _tab(page, name):
    page.locator(f"#tab-{name}").click()
    page.locator(READY[name]).first.wait_for()
    page.wait_for_timeout(400)  # until pictures have faded in


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_axe_finds_nothing_serious(open_page, locale, scheme, size):  # noqa: F811
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make node_modules/installed")
    page = open_page(locale=locale, color_scheme=scheme, viewport=size)
    page.evaluate(AXE.read_text())
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name in TABS:
        _tab(page, name)
        page.screenshot(path=SHOTS / f"{name}-{locale[:2]}-{scheme}-{size['width']}.png")
        assert page.evaluate(SERIOUS) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
        row, tab = (page.locator(each).bounding_box() for each in ("#tabs", f"#tab-{name}"))
        assert row["x"] <= tab["x"], name
        assert tab["x"] + tab["width"] <= row["x"] + row["width"], name
    _tab(page, "images")
    page.locator("#filters-button").click()
    page.locator("#facets-button").click()
    page.locator("#facets button").first.click()
    page.locator("#facets [aria-pressed=true]").wait_for()
    page.locator(".card.there").first.wait_for()
    page.wait_for_timeout(400)
    assert page.evaluate(SERIOUS) == []
    page.locator(".picture").first.focus()
    page.keyboard.press("o")
    page.locator("#viewer img[src]").evaluate("image => image.decode()")
    page.locator("#viewer .captions button").first.click()
    assert page.evaluate(SERIOUS) == []
    page.screenshot(path=SHOTS / f"viewer-{locale[:2]}-{scheme}-{size['width']}.png")
    page.locator("#viewer [data-do=part]").click()
    page.locator(".cut img[src]").evaluate("image => image.decode()")
    _axe(page, "a part")
    page.keyboard.press("Escape")
    page.locator(".picture").first.focus()
    page.keyboard.press("x")
    page.locator(".selection").wait_for()
    _axe(page, "chosen images")
    page.screenshot(path=SHOTS / f"chosen-{locale[:2]}-{scheme}-{size['width']}.png")
    page.locator("#text").fill("red circles")
    page.locator("#text").press("Enter")
    page.locator("#mode").select_option("hybrid")
    page.locator(".by").first.wait_for()
    _axe(page, "both")
    page.locator("#compare select").select_option("mode:words")
    page.locator(".compared section").nth(1).wait_for()
    _axe(page, "compared")
    page.screenshot(path=SHOTS / f"compared-{locale[:2]}-{scheme}-{size['width']}.png")
    page.locator("#tab-duplicates").click()
    page.locator(".twins input[type=checkbox]").first.check()
    _axe(page, "pairs chosen")
    page.evaluate("""() => { location.hash = 'collection=things&filter={"nothing":1}'; }""")
    page.locator("#alert p").first.wait_for()
    _axe(page, "an error")


def test_no_english_is_left_in_chinese(open_page):  # noqa: F811
    page = open_page(locale="zh-CN")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    for name in TABS:
        _tab(page, name)
        assert page.evaluate(ENGLISH) == [], name
