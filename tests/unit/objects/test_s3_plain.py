"""Objects that are read without a parser of XML are those that botocore's parser reads."""

from botocore.parsers import RestXMLParser
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.objects import ListingIncomplete
from image_retrieval.objects.s3_listing import entries
from image_retrieval.objects.s3_plain import take_plain_entries

SHAPE = get_session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
FIELDS = {
    "Key": ["in/a.jpg", "in/b%20c+d.jpg", "in/a&amp;b", "in/é", "in/", "in/\x01", "", "other", "in/<![CDATA[a]]>"],
    "LastModified": [
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "Fri, 02 Jan 2026 03:04:05 GMT",
    ],
    "ETag": ["&quot;e1&quot;", '"e2"', "&#34;e3-2&#34;", "e4", "", "W/&quot;e5&quot;", "W/e6"],
    "Size": ["9", "0", "-1", "99999999999999999999", " 7 ", "many"],
    "StorageClass": ["STANDARD", ""],
    "Owner": ["<ID>1</ID><Key>in/x</Key>"],
}
ELEMENTS = [st.sampled_from([f"<{name}>{text}</{name}>" for text in texts]) for name, texts in FIELDS.items()]
USUAL = st.tuples(
    *(st.sampled_from([f"<{name}>{text}</{name}>" for text in texts[:2]]) for name, texts in FIELDS.items())
)
OBJECTS = st.lists(
    USUAL | st.lists(st.one_of(ELEMENTS), max_size=6) | st.permutations(["<Size>1</Size>", "<ETag>e</ETag>"]),
    max_size=4,
)


def answered(contents, around):
    body = "".join(f"<Contents>{''.join(each)}</Contents>" for each in contents)
    text = f"<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{around}{body}</ListBucketResult>"
    return {"status_code": 200, "headers": {}, "body": text.encode()}


def outcome(response, taken):
    """What a listing makes of an answer: its objects, or the kind of its error."""
    try:
        answer = {**RestXMLParser().parse(response, SHAPE), **taken}
        return list(entries(answer, "s3://bucket/in/"))
    except ListingIncomplete as error:
        return str(error)
    except Exception as error:  # whatever the parser raises ends the listing
        return type(error)


@given(OBJECTS, st.sampled_from(["", "<EncodingType>url</EncodingType>", "<CommonPrefixes/>", "<!-- <Contents/> -->"]))
def test_plain_objects_are_those_of_a_parser(contents, around):
    expected = outcome(answered(contents, around), {})
    taken = {}
    response = answered(contents, around)
    take_plain_entries(response, taken)
    assert outcome(response, taken) == expected


def test_what_stores_usually_write_is_plain():
    contents = [
        [
            "<Key>in/a.jpg</Key>",
            "<LastModified>2026-01-02T03:04:05.000Z</LastModified>",
            "<ETag>&quot;e&quot;</ETag>",
            "<Size>9</Size>",
        ]
    ] * 2
    response, taken = answered(contents, "<IsTruncated>false</IsTruncated>"), {}
    take_plain_entries(response, taken)
    assert len(taken["Contents"]) == 2
    assert b"Contents" not in response["body"]
