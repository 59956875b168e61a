"""Random filters, rows to filter, and what docs/sql.md says of both, in Python."""

from datetime import datetime, timedelta

from hypothesis import strategies as st

from integration.random_vectors import START

SMALL = 60
CAPTIONS = [None, "two red circles", "a red ring", "两个红色的圆", "一个 blue 环", "100% wool_hat"]


def facts(number):
    return {
        "width": None if number % 7 == 0 else number % 10,
        "height": number,
        "format": ("JPEG", "PNG", "WEBP")[number % 3],
        "group_id": None if number % 4 == 0 else f"g{number % 5}",
        "intra_id": str(number % 2),
        "caption": CAPTIONS[number % len(CAPTIONS)],
        "attributes": {
            "colour": ("red", "blue")[number % 2],
            **({"price": number / 2} if number % 3 else {"price": "unknown"}),
            **({"sold": (START + timedelta(days=number)).isoformat()} if number % 5 else {}),
            "tags": [str(number % 3), "all"],
        },
        "created_at": START + timedelta(hours=number),
    }


def holds(filter, row):
    """What docs/sql.md says of filters, in Python."""
    return all(_holds(key, value, row) for key, value in filter.items())


def _holds(key, value, row):
    if key == "and":
        return all(holds(each, row) for each in value)
    if key == "or":
        return any(holds(each, row) for each in value)
    if key == "not":
        return not holds(value, row)
    if key == "attributes":
        return all(
            _agrees(row["attributes"].get(name), test, name in row["attributes"]) for name, test in value.items()
        )
    actual = row[key]
    if key == "created_at" and not isinstance(value, dict):
        value = datetime.fromisoformat(value)
    return actual is None if value is None else _agrees(actual, value, True)


def _agrees(actual, test, there):
    if not isinstance(test, dict):
        if isinstance(test, list):
            return isinstance(actual, list) and all(item in actual for item in test)
        return there and (test in actual if isinstance(actual, list) else actual == test)
    return all(_operator(actual, name, operand) for name, operand in test.items())


def _operator(actual, name, operand):
    if name == "any":
        return any(_agrees(actual, _as(actual, item), actual is not None) for item in operand)
    if name == "match":
        if not isinstance(actual, str):
            return False
        if any("\u4e00" <= letter <= "\u9fff" for letter in operand):
            return all(part.lower().strip("%") in actual.lower() for part in operand.split())
        return set(operand.split()) <= set(actual.split())
    operand = _as(actual, operand)
    if actual is None or isinstance(actual, str) != isinstance(operand, str):
        return False
    if isinstance(actual, str):
        try:
            actual, operand = datetime.fromisoformat(actual), datetime.fromisoformat(operand)
        except ValueError:
            return False
    compare = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__"}[name]
    return getattr(float(actual) if isinstance(actual, int) else actual, compare)(
        float(operand) if isinstance(operand, int) else operand
    )


def _as(actual, operand):
    return datetime.fromisoformat(operand) if isinstance(actual, datetime) else operand


NUMBERS = st.integers(-1, SMALL) | st.sampled_from([4.5, 0.5])
TIMES = st.integers(0, SMALL).map(lambda hours: (START + timedelta(hours=hours)).isoformat())
DAYS = st.integers(0, SMALL).map(lambda days: (START + timedelta(days=days)).isoformat())


def ranges(values):
    return st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), values, min_size=1, max_size=2)


def any_of(values):
    return st.lists(values, max_size=3).map(lambda items: {"any": items})


TAGS = st.sampled_from(["0", "1", "all"])
GROUPS = st.sampled_from(["g0", "g1", "g2", "g9", "'; --"])
MATCHES = st.sampled_from(["red", "two red", "circles two", "ring blue", "红色", "红色 两", "一个 BLUE", "的%"]).map(
    lambda words: {"match": words}
)
LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "width": st.none() | NUMBERS | ranges(NUMBERS) | any_of(NUMBERS),
        "height": NUMBERS | ranges(NUMBERS),
        "format": st.sampled_from(["JPEG", "PNG", "TIFF"]) | any_of(st.sampled_from(["JPEG", "PNG"])),
        "group_id": st.none() | GROUPS | any_of(GROUPS),
        "image_id": any_of(st.integers(0, SMALL).map(str)),
        "caption": st.none() | MATCHES,
        "created_at": TIMES | ranges(TIMES),
        "attributes": st.fixed_dictionaries(
            {},
            optional={
                "colour": st.sampled_from(["red", "green"]) | any_of(st.sampled_from(["red", "blue"])),
                "price": ranges(NUMBERS) | NUMBERS,
                "sold": ranges(DAYS),
                "tags": st.sampled_from(["all", "1"]) | any_of(TAGS) | st.lists(TAGS, max_size=2),
                "nothing'": NUMBERS,
            },
        ),
    },
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda filter: {"not": filter}),
        st.lists(inner, max_size=3).map(lambda filters: {"or": filters}),
        st.lists(inner, max_size=3).map(lambda filters: {"and": filters}),
        st.tuples(LEAVES, inner).map(lambda both: {**both[0], "not": both[1]}),
    ),
    max_leaves=4,
)


def stored(row):
    """The facts of a row as columns of the table."""
    return {**{key: value for key, value in row.items() if key != "created_at"}, "first_seen": row["created_at"]}
