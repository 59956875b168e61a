"""Several machines of one training: a pod for each, and a Service whose name leads to the first.

The other pods and the Service belong to the first pod: when it is deleted, the cluster deletes them, too. An Indexed
Job would need Kubernetes 1.22, and would replace pods one by one, though all processes have to begin anew together.
"""

import copy
import hashlib

from kubernetes.client import models as k8s

from orchestration.training_processes import launcher

PORTS = range(20_000, 30_000)  # below those of NodePorts and of outgoing connections
GROUP, MACHINE = "image-retrieval/group", "image-retrieval/machine"  # labels


def pod_names(first: str, machines: int) -> list[str]:
    """The names of a group's pods, in the order of their machines."""
    return [first, *(f"{first}-{machine}" for machine in range(1, machines))]


def service_name(training: str) -> str:
    """The Service of a training."""
    return f"train-{training.replace('_', '-')}"


def port_of(group: str) -> int:
    """The port on which the first machine of a group listens.

    With `hostNetwork`, machines of several trainings may share a node. If its port is taken anyway, the next group has
    another one.
    """
    return PORTS[int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") % len(PORTS)]


def as_first(pod: k8s.V1Pod, service: str, machines: int, gpus: int, patience: int) -> k8s.V1Pod:
    """A pod as the first machine of a group, which is named after it."""
    pod.metadata.labels[GROUP] = pod.metadata.name
    address = f"{_host(0)}.{service}.{pod.metadata.namespace}.svc:{port_of(pod.metadata.name)}"
    told = [f"--machines={machines}", f"--address={address}", f"--group={pod.metadata.name}", f"--patience={patience}"]
    return _placed(pod, 0, service, ["python", "-m", *launcher(gpus, *told)])


def others(first: k8s.V1Pod, owner: k8s.V1Pod, machines: int) -> list[k8s.V1Pod]:
    """The other machines' pods. `owner` is the first pod as the cluster knows it."""
    found = []
    for machine, name in enumerate(pod_names(first.metadata.name, machines)):
        if machine:
            pod = copy.deepcopy(first)
            pod.metadata.name = name
            pod.metadata.owner_references = [_owned_by(owner)]
            module, *told = first.spec.containers[0].command[2:]
            command = ["python", "-m", module, f"--machine={machine}", *told]
            found.append(_placed(pod, machine, first.spec.subdomain, command))
    return found


def service_of(first: k8s.V1Pod, owner: k8s.V1Pod) -> k8s.V1Service:
    """The headless Service by which the machines find the first one, also before it is ready."""
    metadata = k8s.V1ObjectMeta(
        name=first.spec.subdomain,
        namespace=first.metadata.namespace,
        labels=dict(first.metadata.labels),
        owner_references=[_owned_by(owner)],
    )
    spec = k8s.V1ServiceSpec(
        cluster_ip="None",
        selector={GROUP: first.metadata.labels[GROUP]},
        publish_not_ready_addresses=True,
        ports=[k8s.V1ServicePort(name="training", port=port_of(first.metadata.name))],
    )
    return k8s.V1Service(api_version="v1", kind="Service", metadata=metadata, spec=spec)


def _placed(pod: k8s.V1Pod, machine: int, service: str, command: list[str]) -> k8s.V1Pod:
    pod.metadata.labels[MACHINE] = str(machine)
    pod.spec.hostname, pod.spec.subdomain = _host(machine), service
    pod.spec.containers[0].command = command
    return pod


def _host(machine: int) -> str:
    return f"machine-{machine}"


def _owned_by(pod: k8s.V1Pod) -> k8s.V1OwnerReference:
    return k8s.V1OwnerReference(api_version="v1", kind="Pod", name=pod.metadata.name, uid=pod.metadata.uid)
