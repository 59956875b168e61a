"""The machines of a training are as many pods, told apart by their commands alone, and belong to the first."""

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import ApiClient, V1Container, V1ObjectMeta, V1Pod, V1PodSpec
from manifests import assert_valid

from orchestration.pod_groups import (
    GROUP,
    MACHINE,
    PORTS,
    as_first,
    others,
    pod_names,
    port_of,
    service_name,
    service_of,
)
from orchestration.training_pods import TrainingPodOperator
from orchestration.training_processes import TrainingProcessOperator


def pod() -> V1Pod:
    spec = V1PodSpec(containers=[V1Container(name="base", image="i", args=["training", "run"])])
    labels = {"app.kubernetes.io/name": "image-retrieval"}
    return V1Pod("v1", "Pod", metadata=V1ObjectMeta(name="train-mine-7", namespace="here", labels=labels), spec=spec)


def group(machines):
    first = as_first(pod(), service_name("my_own"), machines, 4, 60)
    known = V1Pod(metadata=V1ObjectMeta(name=first.metadata.name, uid="one"))
    plain = ApiClient().sanitize_for_serialization
    return plain([first, *others(first, known, machines)]), plain(service_of(first, known))


@given(st.integers(2, 9))
def test_each_machine_has_its_number_and_the_same_address(machines):
    pods, service = group(machines)
    assert [each["metadata"]["name"] for each in pods] == pod_names("train-mine-7", machines)
    assert len({each["metadata"]["name"] for each in pods}) == machines
    commands = [each["spec"]["containers"][0]["command"] for each in pods]
    told = [{option for option in command if not option.startswith("--machine=")} for command in commands]
    assert all(each == told[0] for each in told)
    port = port_of("train-mine-7")
    assert f"--address=machine-0.train-my-own.here.svc:{port}" in told[0]
    assert [each["port"] for each in service["spec"]["ports"]] == [port]
    numbers = [option for command in commands for option in command if option.startswith("--machine=")]
    assert numbers == [f"--machine={machine}" for machine in range(1, machines)]
    assert [each["spec"]["hostname"] for each in pods] == [f"machine-{machine}" for machine in range(machines)]
    assert {each["spec"]["subdomain"] for each in pods} == {service["metadata"]["name"]} == {"train-my-own"}


@given(st.text(min_size=1))
def test_a_group_has_one_port_that_nothing_else_is_given(group):
    assert port_of(group) == port_of(group)
    assert port_of(group) in PORTS
    assert max(PORTS) < 30_000  # where NodePorts begin


def test_groups_on_one_node_have_ports_of_their_own():
    ports = [port_of(f"train-mine-{number}") for number in range(100)]
    assert len(set(ports)) > 95


def test_the_service_finds_this_group_alone_and_all_goes_with_the_first_pod():
    pods, service = group(3)
    for each in pods:
        assert service["spec"]["selector"].items() <= each["metadata"]["labels"].items()
    assert service["spec"]["selector"] == {"image-retrieval/group": "train-mine-7"}
    for each in (*pods[1:], service):
        assert each["metadata"]["ownerReferences"] == [
            {"apiVersion": "v1", "kind": "Pod", "name": "train-mine-7", "uid": "one"}
        ]
    assert "ownerReferences" not in pods[0]["metadata"]
    assert_valid(*pods, service)


@pytest.mark.parametrize("kind", [TrainingPodOperator, TrainingProcessOperator])
def test_a_task_without_a_command_is_skipped(kind):
    more = {"training": "mine"} if kind is TrainingPodOperator else {}
    with pytest.raises(AirflowSkipException, match="a training on texts judges its model itself"):
        kind(task_id="gate", gpus=1, arguments=[], **more).execute({})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), unique=True))
def test_a_group_is_taken_over_as_a_whole_or_not_at_all(there):
    operator = TrainingPodOperator(task_id="train", training="mine", gpus=1, machines=3, arguments=["training", "run"])
    pods = [V1Pod(metadata=V1ObjectMeta(labels={GROUP: group, MACHINE: str(machine)})) for group, machine in there]
    kept = [(pod.metadata.labels[GROUP], pod.metadata.labels[MACHINE]) for pod in operator._kept(pods)]
    whole = [group for group in "ab" if sum(own == group for own, _ in there) == 3]
    assert [machine for _, machine in kept] == (["0", "1", "2"] if whole else [])
    assert {group for group, _ in kept} <= set(whole)
