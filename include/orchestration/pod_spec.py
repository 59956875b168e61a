"""The defaults of an embedding pod, with reasons for unusual ones."""

from typing import Any

from kubernetes.client import models as k8s

from image_retrieval.settings import Settings

USER = 10001  # of the embedding image, include/kubernetes/Dockerfile
CACHE = "/cache"  # IMAGE_RETRIEVAL_LOCAL_DIR of the embedding image
GRACE_SECONDS = 60  # to finish a batch and save finished work
LOST_NODE_SECONDS = 60  # Kubernetes waits 300 for a node that does not answer
LABELS = {"app.kubernetes.io/name": "image-retrieval", "app.kubernetes.io/component": "embedding"}


def pod_defaults(name: str, settings: Settings) -> dict[str, Any]:
    """Arguments of KubernetesPodOperator; the cluster comes from Airflow's connection `kubernetes_default`."""
    return {
        "name": name.replace("_", "-"),
        "namespace": settings.pod_namespace,
        "labels": LABELS,
        "image": settings.pod_image,
        "cmds": ["image-retrieval"],
        # a Secret, never literal values, which would show in the pod's spec and in the UI
        "env_from": [k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=settings.pod_secret))],
        "container_resources": pod_resources(settings, settings.pod_gpus),
        **_place(settings),
        **_volumes(settings),
        **_security(settings),
        "active_deadline_seconds": settings.pod_run_seconds,  # applies even if nobody watches the pod
        "schedule_timeout_seconds": settings.pod_schedule_seconds,
        "startup_timeout_seconds": settings.pod_start_seconds,
        "termination_grace_period": GRACE_SECONDS,
        "deferrable": settings.pod_deferrable,
        "do_xcom_push": False,  # its sidecar needs the right to exec, and hangs
        "log_pod_spec_on_failure": False,  # a logged spec could reveal secrets
        "termination_message_policy": "FallbackToLogsOnError",  # the program's last words in the error
    }


def pod_resources(settings: Settings, gpus: int) -> k8s.V1ResourceRequirements:
    """What a pod with some GPUs needs of its node."""
    requests = {"cpu": settings.pod_cpus, "memory": settings.pod_memory}
    limits = {"memory": settings.pod_memory}  # no CPU limit: a throttled pod starves its GPU
    if gpus:
        limits["nvidia.com/gpu"] = str(gpus)
    return k8s.V1ResourceRequirements(requests=requests, limits=limits)


def _place(settings: Settings) -> dict[str, Any]:
    """The nodes that may run a pod."""
    leaves_lost_nodes = [
        {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute"}
        | {"tolerationSeconds": LOST_NODE_SECONDS}
        for state in ("not-ready", "unreachable")
    ]
    return {
        "node_selector": settings.pod_node_selector,
        "tolerations": [_toleration(**given) for given in (*settings.pod_tolerations, *leaves_lost_nodes)],
        "priority_class_name": settings.pod_priority_class or None,
        "pod_template_file": str((settings.home / settings.pod_template).resolve()) if settings.pod_template else None,
    }


def _toleration(*, tolerationSeconds: int | None = None, **given: str) -> k8s.V1Toleration:  # noqa: N803
    return k8s.V1Toleration(toleration_seconds=tolerationSeconds, **given)


def _volumes(settings: Settings) -> dict[str, Any]:
    """The writable folders; the root file system is read-only."""
    claim = settings.pod_cache_claim
    cache = (
        {"persistent_volume_claim": k8s.V1PersistentVolumeClaimVolumeSource(claim_name=claim)}
        if claim
        else {"empty_dir": k8s.V1EmptyDirVolumeSource()}
    )
    # loaders pass tensors through /dev/shm, which has only 64 MB by default
    memory = k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit=settings.pod_shared_memory)
    return {
        "volumes": [
            k8s.V1Volume(name="models", **cache),
            k8s.V1Volume(name="scratch", empty_dir=k8s.V1EmptyDirVolumeSource()),
            k8s.V1Volume(name="shared-memory", empty_dir=memory),
        ],
        "volume_mounts": [
            k8s.V1VolumeMount(name="models", mount_path=CACHE),
            k8s.V1VolumeMount(name="scratch", mount_path="/tmp"),
            k8s.V1VolumeMount(name="shared-memory", mount_path="/dev/shm"),
        ],
    }


def _security(settings: Settings) -> dict[str, Any]:
    """The restricted Pod Security Standard, without access to the cluster's API."""
    return {
        "service_account_name": settings.pod_service_account,
        "automount_service_account_token": False,
        "security_context": k8s.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=USER,
            run_as_group=USER,
            fs_group=USER,  # so that it may write to the volumes
            fs_group_change_policy="OnRootMismatch",  # do not change every file of a large cache at each start
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
        "container_security_context": k8s.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
        ),
    }
