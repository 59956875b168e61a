"""Every tab in both languages, light and dark, on a desktop and on a phone: no finding of axe, and no English left."""

import re
from pathlib import Path

import pytest

from browser.alone import DESKTOP, PHONE, SHOTS, full, open_page  # noqa: F401
from image_retrieval.service.routes.page import FILES

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
TABS = re.findall(r'data-tab="(\w+)"', FILES["index.html"].decode())
READY = {
    "images": ".card.there",
    "duplicates": ".twin",
    "rejected": ".reason",
    "runs": ".tag.success",
    "trainings": ".examples[src]",
    "map": ".map canvas",
    "service": ".chart",
}
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


def test_no_english_is_left_in_chinese(open_page):  # noqa: F811
    page = open_page(locale="zh-CN")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    for name in TABS:
        _tab(page, name)
        assert page.evaluate(ENGLISH) == [], name
