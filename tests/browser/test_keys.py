"""The page by keyboard alone: the Tab key reaches every control, in the order of the page, with a visible focus."""

import pytest

from browser.alone import DESKTOP, PHONE, READY, TABS, full, open_page  # noqa: F401

MOST = 250  # controls of a tab
STEP = """() => {
    const at = document.activeElement;
    if (at === document.body || window.reached.has(at)) return null;
    const last = [...window.reached].at(-1);
    window.reached.add(at);
    const ring = ({ outlineStyle: outline, boxShadow: shadow }) => outline !== "none" || shadow !== "none";
    const { top, bottom } = at.getBoundingClientRect();
    return {
        name: at.outerHTML.slice(0, 120),
        seen: [at, at.closest(".frame"), at.closest("#words")].some((each) => each && ring(getComputedStyle(each))),
        inside: bottom > 0 && top < innerHeight,
        ordered: !last || Boolean(last.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING),
    };
}"""
MISSED = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex]")]
    .filter((each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility() && !window.reached.has(each))
    .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", TABS)
def test_every_control_is_reached_in_order_and_seen(open_page, name, size):  # noqa: F811
    page = open_page(f"&tab={name}", viewport=size)
    page.locator(READY[name]).first.wait_for()
    if name == "images":
        page.locator("#filters-button").press("Enter")
        page.locator("#facets-button").press("Enter")
        page.locator("#facets button").first.wait_for()
    page.evaluate("window.reached = new Set()")
    page.locator(".skip").focus()
    for _ in range(MOST):
        step = page.evaluate(STEP)
        if step is None:
            break
        assert step["seen"], step
        assert step["inside"], step
        assert step["ordered"], step
        page.keyboard.press("Tab")
    assert page.evaluate("window.reached.size") > 4
    assert page.evaluate(MISSED) == []


def test_arrow_keys_go_through_the_tabs(open_page):  # noqa: F811
    page = open_page(viewport=PHONE)
    page.locator("#tab-images").focus()
    for name in [*TABS[1:], TABS[0]]:
        page.keyboard.press("ArrowRight")
        page.locator(f"#tab-{name}[aria-selected=true]:focus").wait_for()


@pytest.mark.parametrize("name", TABS)
def test_the_tab_of_an_address_is_in_sight_on_a_phone(open_page, name):  # noqa: F811
    page = open_page(f"&tab={name}", viewport=PHONE, locale="zh-CN")
    page.locator("#tab-rejected .count:not(:empty)").wait_for()  # which moves the tabs behind it
    row, tab = (page.locator(each).bounding_box() for each in ("#tabs", f"#tab-{name}"))
    assert row["x"] <= tab["x"]
    assert tab["x"] + tab["width"] <= row["x"] + row["width"]
