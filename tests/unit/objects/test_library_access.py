"""Libraries that read a store by themselves are told what the settings say of it."""

import pytest

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.objects.library_access import delta_options, iceberg_properties
from image_retrieval.settings import Settings

KEYS = {"access_key_id": "k", "secret_access_key": "s"}


def told(uri, **settings):
    """What both libraries are told, and nothing else."""
    access = ObjectStore(Settings(s3_timeout_seconds=7, **settings)).access(uri)
    delta, iceberg = delta_options(access, uri), iceberg_properties(access)
    assert {iceberg.pop("s3.request-timeout"), iceberg.pop("s3.connect-timeout")} == {"7.0"}
    assert delta.pop("timeout") == "7.0s"
    assert (delta.pop("max_retries"), delta.pop("retry_timeout")) == ("3", "21.0s")
    return delta, iceberg


def test_a_cloud_that_wants_the_bucket_in_the_host_gets_it_there():
    delta, iceberg = told("oss://lake/table/", stores={"oss": {"region": "cn-hangzhou", **KEYS}})
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    assert delta == keys | {
        "aws_region": "cn-hangzhou",
        "aws_endpoint_url": "https://lake.s3.oss-cn-hangzhou.aliyuncs.com",
        "aws_allow_http": "false",
        "aws_virtual_hosted_style_request": "true",
    }
    assert iceberg == {
        "s3.access-key-id": "k",
        "s3.secret-access-key": "s",
        "s3.region": "cn-hangzhou",
        "s3.endpoint": "https://s3.oss-cn-hangzhou.aliyuncs.com",
        "s3.force-virtual-addressing": "true",
    }


def test_aws_is_left_to_its_own_environment():
    delta, iceberg = told("s3://lake/table/", s3_region="eu-central-1")
    assert delta == {"aws_region": "eu-central-1", "aws_virtual_hosted_style_request": "false"}
    assert iceberg == {"s3.region": "eu-central-1"}
    assert told("s3://lake/table/") == ({"aws_virtual_hosted_style_request": "false"}, {})


def test_other_clouds_need_keys():
    with pytest.raises(UserError, match="no keys for"):
        told("oss://lake/table/", stores={"oss": {"region": "cn-hangzhou"}})


def test_stores_of_other_protocols_are_told():
    with pytest.raises(UserError, match="in Google Cloud Storage cannot be read: give `format: parquet`"):
        told("gs://lake/table/")
