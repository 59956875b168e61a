"""Prints the pod that the embedding operator asks for, as JSON, without a cluster."""

import json

from kubernetes.client import ApiClient

from orchestration.pods import EmbeddingPodOperator

operator = EmbeddingPodOperator(collection="my_things", arguments=["embed", "s3://in/00007.parquet", "s3://out"])
print(json.dumps(ApiClient().sanitize_for_serialization(operator.build_pod_request_obj())))
