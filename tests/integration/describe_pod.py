"""Prints the pod that the embedding operator asks for, as JSON, without a cluster."""

import json

from kubernetes.client import ApiClient

from orchestration.pods import EmbeddingPodOperator

arguments = ["embed", "s3://in/00007.parquet", "s3://out", "--batch-size=8"]
operator = EmbeddingPodOperator(collection="my_things", shards=[7], arguments=arguments)
print(json.dumps(ApiClient().sanitize_for_serialization(operator.build_pod_request_obj(dry_run=True))))
