"""Names, captions and words of any letters on the page of the service alone: shown as they are, and never run."""

import pytest
from integration.pictures import SCENES
from integration.service.conftest import TOKEN, as_base64
from playwright.sync_api import expect

expect.set_options(timeout=120_000)  # a busy machine loads a model slowly
SCRIPT = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
NAMES = {  # of images: as they are, and as they are shown
    "quotes/\"'<b>": "quotes/\"'<b>",
    "lines/a\nb\tc": "lines/a␊b␉c",
    "percent/%2Fb%00": "percent/%2Fb%00",
    "dots/../b": "dots/../b",
    "query/?a#b&c=d": "query/?a#b&c=d",
    "turn/\u202eabc": "turn/\\u202eabc",
    f"script/{SCRIPT}": f"script/{SCRIPT}",
    "spaces/a  b": "spaces/a  b",
    "right/שלום": "right/שלום",
    "marks/e\u0301\u0323": "marks/e\u0301\u0323",
    "emoji/👩\u200d🚀": "emoji/👩\u200d🚀",
}
WORDS = ["🔴🔴", "👩\u200d🚀", "שלום עולם", "e\u0301" * 40, SCRIPT, "'; DROP TABLE x; --", "两个红色圆形", "\ud800"]
BROKEN = [
    "#%",
    "#text=%E0%A4%A",
    "#filter=%7B",
    "#filter=[1]",
    '#filter={"width":{"gte":"x"}}',
    "#tab=constructor",
    "#image=%00",
]
BROKEN += ["#text=%20", "#text=%E3%80%80", '#filter={"group_id":{"any":3}}', "#collection=__proto__&tab=toString"]


@pytest.fixture(scope="module")
def typed(client, served):
    """A collection whose ids, groups and captions hold whatever letters there are."""
    import psycopg

    assert client.post("/api/collections", json={"name": "typed"}).status_code == 201
    pictures = list(SCENES.values())
    for at, name in enumerate(NAMES):
        form = {"base64": as_base64(pictures[at]), "caption": f"{SCRIPT} {name}", "group_id": name}
        answer = client.put(f"/api/collections/typed/images/{at}", json=form)
        assert answer.status_code == 200, answer.text
    with psycopg.connect(served.database()) as connection:
        for at, name in enumerate(NAMES):
            connection.execute(
                "UPDATE retrieval.image SET image_id = %s WHERE collection = 'typed' AND image_id = %s", [name, str(at)]
            )
    yield "typed"
    client.delete("/api/collections/typed")


@pytest.fixture
def open_page(chromium, address):
    """Open the page at an address after #; fails where a script failed or ran that is not its own."""
    failures, contexts = [], []

    def go(hash_):
        context = chromium.new_context(viewport={"width": 1400, "height": 2400})
        contexts.append(context)
        context.add_init_script(f"sessionStorage.setItem('image-retrieval-token', '{TOKEN}')")
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("dialog", lambda dialog: failures.append(dialog.message))
        page.goto(f"{address}/{hash_}")
        page.locator("#status:not(:empty), #alert p").first.wait_for()
        return page

    yield go
    for context in contexts:
        for page in context.pages:
            assert page.title() != "run"
        context.close()
    assert failures == []


def test_names_and_captions_are_shown_as_they_are(open_page, typed):
    page = open_page(f"#collection={typed}")
    expect(page.locator(".card.there")).to_have_count(len(NAMES))  # each preview was found by its id
    assert sorted(page.locator(".facts .id").all_text_contents()) == sorted(NAMES.values())
    assert sorted(page.locator(".facts .group").all_text_contents()) == sorted(NAMES.values())
    captions = page.locator(".picture img").evaluate_all("images => images.map((image) => image.alt)")
    assert sorted(captions) == sorted(f"{SCRIPT} {name}" for name in NAMES)
    assert page.locator(".facts .id b, .facts script").count() == 0


@pytest.mark.parametrize("name", ["lines/a\nb\tc", "dots/../b", f"script/{SCRIPT}", "turn/\u202eabc"])
def test_an_image_of_any_name_is_searched_by_filtered_and_opened(open_page, typed, name):
    page = open_page(f"#collection={typed}")
    page.locator(".card.there").first.wait_for()
    at = [*page.locator(".facts .id").all_text_contents()].index(NAMES[name])
    card = page.locator(".card").nth(at)
    card.locator(".picture").focus()
    page.keyboard.press("o")
    expect(page.locator("#viewer h2")).to_have_text(NAMES[name], use_inner_text=False)
    page.locator("#viewer img[src]").evaluate("image => image.decode()")
    page.keyboard.press("Escape")
    card.locator(".group").click()
    expect(page.locator(".card")).to_have_count(1)
    page.locator("#filters-button").click()
    page.locator("#filters .main").click()  # what the form shows is what it was given
    expect(page.locator(".card")).to_have_count(1)
    page.locator(".card .picture").click()
    page.locator("#chips .name").wait_for()
    assert page.locator("#chips .name").text_content() == NAMES[name]
    expect(page.locator("#alert p")).to_have_count(0)


def test_words_of_any_letters_are_searched_for_or_told(open_page, typed):
    page = open_page(f"#collection={typed}")
    for words in WORDS:
        page.locator("#text").evaluate("(input, words) => { input.value = words; }", words)
        page.locator("#text").press("Enter")
        page.locator("#results:not(.waiting)").wait_for(state="attached")
        page.locator("#chips .name").first.wait_for()
    page.locator("#clear").click()
    for blank in ("   ", "\u3000", "\n"):
        page.locator("#text").fill(blank)
        page.locator("#text").press("Enter")
    expect(page.locator(".chip")).to_have_count(0)
    page.locator("#text").fill("\u200b")
    page.locator("#text").press("Enter")
    page.locator("#alert p", has_text="is blank").wait_for()
    page = open_page(f"#collection={typed}&text={'x' * 5000}")  # which the field would not take
    page.locator("#alert p", has_text="1000 characters").wait_for()


@pytest.mark.parametrize("hash_", BROKEN)
def test_an_address_that_is_broken_is_shown_or_told(open_page, typed, hash_):
    page = open_page(hash_)
    assert page.locator("#collection option").count() >= 2
    assert typed in page.locator("#collection option").all_text_contents()
