"""An endpoint that stalls, refuses or answers nonsense costs a bounded number of requests, and gives no caption."""

import json
import time

import pyarrow as pa
import pytest
import torch
from odd_captions import good, odd_captions, said, stall

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.captioning import endpoint
from image_retrieval.captioning.endpoint import GREY, IN_A_ROW, EndpointCaptioner
from image_retrieval.embedding.reader import Batch
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.settings import Settings

KEY = "a-key-that-nobody-may-read"
SETTINGS = Settings(database_url="", captions_key=KEY)


@pytest.fixture
def server():
    with odd_captions() as server:
        yield server


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(endpoint, "PAUSES", (0.01,))


@pytest.fixture
def writer(server):
    def make(languages=("en", "zh"), **options):
        where = {"name": "far", "url": server.url, "model": "m", "seconds": 5, "tries": 2, **options}
        return EndpointCaptioner(CaptionOptions(endpoint=where, languages=languages).endpoint, CaptionOptions(
            endpoint=where, languages=languages
        ), SETTINGS)  # fmt: skip

    return make


def asked(writer, count, first=0):
    """The answers for pictures, each of a grey of its own."""
    pixels = torch.stack([torch.full((8, 8, 3), 10 * (first + number), dtype=torch.uint8) for number in range(count)])
    (found,) = writer.captions([Batch(pa.array(range(count)), pixels)])
    return found.answers


def reasons(answers):
    return [[answer.reason and str(answer.reason) for answer in of_image] for of_image in answers]


def test_each_picture_gets_a_caption_per_language(server, writer):
    answers = asked(writer(concurrency=3), 7)
    assert [[answer.text for answer in of_image] for of_image in answers] == [
        [f"grey {10 * number}", f"灰 {10 * number}"] for number in range(7)
    ]
    assert server.keys == {f"Bearer {KEY}"}
    assert 1 <= server.most_at_once <= 3
    body = server.bodies[0]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0, 130)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["en", "zh"]


def test_no_more_requests_run_at_once_than_allowed(server, writer):
    server.reply = lambda grey, _: (time.sleep(0.05), good(grey))[1]
    asked(writer(concurrency=2), 6)
    assert server.most_at_once == 2


@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        (said(""), "empty", ""),
        (said(" \n"), "empty", ""),
        (said('{"en": "", "zh": " "}'), "empty", ""),
        (said("a grey picture"), "nonsense", "not the form that was asked for: a grey picture"),
        (said('{"en": 1}'), "nonsense", "nothing in"),
        (said(None), "nonsense", "no text: null"),
        (said('{"en": "grey grey grey', finish_reason="length"), "no_end", "no end within 130 tokens"),
        ((200, b'{"choices": []}'), "nonsense", "no answer of a chat"),
        ((200, b"[1]"), "nonsense", "no answer of a chat"),
    ],
)
def test_what_is_no_caption_is_told_and_asked_once(server, writer, reply, reason, detail):
    server.reply = lambda grey, _: reply
    (answers,) = asked(writer(), 1)
    assert {str(answer.reason) for answer in answers} == {reason}
    assert all(answer.text is None and answer.detail.startswith(detail) for answer in answers)
    assert len(server.asked) == 1


def test_a_form_between_fences_is_read(server, writer):
    server.reply = lambda grey, _: said('```json\n{"en": "one\\u0000 \\n two", "zh": "一"}\n```')
    (answers,) = asked(writer(), 1)
    assert [answer.text for answer in answers] in (["one two", "一"], [None, None])


@pytest.mark.parametrize("status", [429, 500, 503, 408])
def test_a_request_that_fails_is_tried_again_with_an_end(server, writer, status):
    server.reply = lambda grey, times: good(grey) if times == 2 else (status, b"busy")
    assert asked(writer(tries=2), 1)[0][0].text == "grey 0"
    server.reply = lambda grey, times: (status, b"busy")
    (answers,) = asked(writer(tries=3), 1, first=3)
    assert {str(answer.reason) for answer in answers} == {"unanswered"}
    assert server.asked.count(30) == 3


def test_a_server_that_stalls_or_is_not_there_is_given_up(server, writer):
    server.reply = lambda grey, _: stall(3)
    started = time.monotonic()
    (answers,) = asked(writer(seconds=0.2, tries=2), 1)
    assert {str(answer.reason) for answer in answers} == {"unanswered"}
    assert time.monotonic() - started < 2.5
    gone = writer(url="http://127.0.0.1:9/v1", tries=1, concurrency=1)
    with pytest.raises(Unavailable, match=f"does not answer: {IN_A_ROW} images failed in a row"):
        asked(gone, 20)


def test_a_server_that_answers_no_json_ends_the_run(server, writer):
    server.reply = lambda grey, _: (200, b"<html>\0 welcome")
    with pytest.raises(Unavailable, match="its answer is no JSON: <html>"):
        asked(writer(concurrency=1, tries=2), 20)
    assert len(server.asked) == 2 * IN_A_ROW


def test_one_refused_picture_is_rejected_alone(server, writer):
    server.reply = lambda grey, _: (422, b"not this one") if grey == 20 else good(grey)
    assert reasons(asked(writer(), 4)) == [[None, None], [None, None], ["refused", "refused"], [None, None]]
    server.reply = lambda grey, _: (413, b"too large")
    with pytest.raises(UserError, match="refuses the pictures"):
        asked(writer(concurrency=1), 20)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_any_number_of_refused_pictures_stops_no_server_that_takes_others(server, writer, concurrency):
    server.reply = lambda grey, _: (400, b"content_filter") if grey < 100 or 150 <= grey < 220 else good(grey)
    made = writer(concurrency=concurrency, budget_images=30)
    refused = [["refused", "refused"]]
    assert reasons(asked(made, 9)) == refused * 9
    assert server.asked.count(GREY) == 1
    assert reasons(asked(made, 14, first=10)) == [[None, None]] * 5 + refused * 7 + [[None, None]] * 2
    assert made.spent() is False
    assert reasons(asked(made, 7)) == refused * 6 + [["not_asked", "not_asked"]]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_is_told_at_once_without_the_key(server, writer, status):
    server.reply = lambda grey, _: (status, f"invalid key {KEY} \n for me".encode())
    with pytest.raises(UserError, match=f"answers with status {status}: invalid key … for me: check `url`") as told:
        asked(writer(concurrency=1), 20)
    assert KEY not in str(told.value)
    assert len(server.asked) == 1


def test_a_server_that_knows_no_forms_is_asked_without(server, writer):
    server.reply = lambda grey, _: (400, b"no such field") if "response_format" in server.bodies[-1] else good(grey)
    made = writer(concurrency=1)
    assert reasons(asked(made, 3)) == [[None, None]] * 3
    assert len(server.asked) == 4


def test_a_budget_is_kept(server, writer):
    few = writer(budget_images=3, concurrency=1)
    assert not few.spent()
    assert reasons(asked(few, 5)) == [[None, None]] * 3 + [["not_asked", "not_asked"]] * 2
    assert (few.spent(), len(server.asked)) == (True, 3)
    short = writer(budget_tokens=150, concurrency=1)
    assert reasons(asked(short, 3)) == [[None, None]] * 2 + [["not_asked", "not_asked"]]
    server.reply = lambda grey, _: said(json.dumps({"en": "a", "zh": "b"}), tokens=-1_000_000)
    liar = writer(budget_tokens=131, concurrency=1)
    assert reasons(asked(liar, 3))[2] == ["not_asked", "not_asked"]


def test_an_answer_without_end_is_given_up(server, writer, monkeypatch):
    monkeypatch.setattr(endpoint, "MOST_BYTES", 1000)
    server.reply = lambda grey, _: (200, b"x" * 5000)
    (answers,) = asked(writer(tries=1), 1)
    assert answers[0].detail == "its answer has more than 1000 bytes"
