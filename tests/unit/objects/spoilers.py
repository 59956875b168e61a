"""Names of objects, and what makes a store's answer to a listing wrong."""

from hypothesis import strategies as st

SPOILERS = [
    lambda answer: None,
    lambda answer: setattr(answer, "token", None),
    lambda answer: setattr(answer, "token", "the same"),
    lambda answer: setattr(answer, "cut", "false"),
    lambda answer: setattr(answer, "cut", ""),
    lambda answer: setattr(answer, "cut", "TRUE"),
    lambda answer: setattr(answer, "etags", False),
    lambda answer: setattr(answer, "keys", answer.keys + answer.keys[:1]),
    lambda answer: setattr(answer, "keys", answer.keys + answer.keys),
    lambda answer: setattr(answer, "keys", [*answer.keys, "elsewhere"]),
    lambda answer: setattr(answer, "keys", answer.keys[::-1]),
    lambda answer: setattr(answer, "written", lambda body: body[: len(body) * 2 // 3]),
    lambda answer: setattr(answer, "written", lambda body: b""),
    lambda answer: setattr(answer, "written", lambda body: body.replace(b"Size", b"Length")),
    lambda answer: setattr(answer, "more", "<KeyCount>1000</KeyCount>"),
]
NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6)
