import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from manifests import ROOT, assert_valid, locked

from image_retrieval import __version__
from image_retrieval.local.airflow import POOLS
from image_retrieval.settings import PREFIX, Settings
from orchestration.connections import POSTGRES_CONNECTION, S3_CONNECTION
from orchestration.pod_groups import GROUP
from orchestration.pod_spec import CACHE, LABELS, USER

FOLDER = ROOT / "include" / "kubernetes"
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text())
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
FILES = sorted(set(FOLDER.glob("*.yaml")) - {FOLDER / "values.yaml", FOLDER / "kustomization.yaml"})
DOCKERFILES = sorted(FOLDER.glob("Dockerfile*"))
VARIABLES = {PREFIX + name.upper() for name in Settings.model_fields}


def documents(path: Path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def found(kind: str, name: str | None = None) -> list[dict]:
    """The manifests of a kind, of all files."""
    everything = [document for path in FILES for document in documents(path)]
    return [one for one in everything if one["kind"] == kind and name in (None, one["metadata"]["name"])]


def instructions(path: Path) -> list[list[str]]:
    """The words of each instruction of a Dockerfile."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_manifests_fit_their_schemas(path):
    assert_valid(*documents(path))


def test_the_check_is_strict():
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}
    assert_valid(account)
    with pytest.raises(AssertionError, match="automount"):
        assert_valid(account | {"automount": False})
    with pytest.raises(AssertionError):
        assert_valid(account | {"kind": "ServiceAcount"})


def test_what_is_no_example_is_applied():
    applied = {FOLDER / name for name in KUSTOMIZATION["resources"]}
    examples = {path for path in FILES if path.name.endswith(".example.yaml")}
    assert applied | examples | {FOLDER / "pod-template.yaml"} == set(FILES)
    assert not applied & examples


def test_names_are_those_of_the_settings():
    settings = Settings()
    assert [one["metadata"]["name"] for one in found("Namespace")] == [settings.pod_namespace]
    assert settings.pod_secret in {one["metadata"]["name"] for one in found("Secret")}
    assert found("ServiceAccount", settings.pod_service_account)
    for one in found("Role") + found("RoleBinding") + found("ServiceAccount") + found("NetworkPolicy"):
        assert one["metadata"]["namespace"] == settings.pod_namespace


def test_rights_are_of_one_namespace_and_no_more_than_pods_and_their_service():
    assert not found("ClusterRole")
    assert not found("ClusterRoleBinding")
    (role,) = found("Role")
    resources = {name for rule in role["rules"] for name in rule["resources"]}
    assert resources == {"pods", "pods/log", "services"}
    assert "*" not in {verb for rule in role["rules"] for verb in rule["verbs"]}


def test_the_pods_own_account_has_no_rights_and_no_token():
    (account,) = found("ServiceAccount", Settings().pod_service_account)
    assert account["automountServiceAccountToken"] is False
    bound = {subject["name"] for one in found("RoleBinding") for subject in one["subjects"]}
    assert bound == {"image-retrieval-tasks"}


def test_nothing_connects_to_a_pod():
    (policy,) = found("NetworkPolicy", Settings().pod_service_account)
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= LABELS.items()
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy["spec"]
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 443}


def test_only_machines_of_trainings_connect_to_each_other():
    machines = {"matchExpressions": [{"key": GROUP, "operator": "Exists"}]}
    (policy,) = [one for one in found("NetworkPolicy") if one["metadata"]["name"] != Settings().pod_service_account]
    assert policy["spec"]["podSelector"] == machines
    assert policy["spec"]["ingress"] == [{"from": [{"podSelector": machines}]}]
    assert policy["spec"]["egress"] == [{"to": [{"podSelector": machines}]}]


def test_the_pods_secret_holds_what_embedding_needs():
    (secret,) = found("Secret", Settings().pod_secret)
    assert set(secret["stringData"]) <= VARIABLES
    assert f"{PREFIX}DATABASE_URL" not in secret["stringData"]


def test_examples_hold_no_secret():
    for secret in found("Secret"):
        for name, value in secret["stringData"].items():
            if name not in (f"{PREFIX}S3_ENDPOINT_URL", f"{PREFIX}S3_REGION"):
                assert "REPLACE_ME" in value


def test_the_template_leaves_the_pod_to_the_operator():
    (pod,) = found("Pod")
    assert pod["spec"]["containers"] == [{"name": "base"}]


def test_airflows_connections_come_from_the_secret():
    (secret,) = found("Secret", "image-retrieval-airflow")
    taken = {one["envName"]: one for one in VALUES["secret"]}
    wanted = {f"AIRFLOW_CONN_{name.upper()}" for name in (POSTGRES_CONNECTION, S3_CONNECTION)}
    assert set(taken) == wanted | {f"{PREFIX}DATABASE_URL"}
    named = {one["secretName"] for one in taken.values()}
    keys = {one["secretKey"] for one in taken.values()} | {"connection", "fernet-key", "api-secret-key", "jwt-secret"}
    own = {VALUES["data"]["metadataSecretName"], VALUES["fernetKeySecretName"], VALUES["jwtSecretName"]}
    assert named | own | {VALUES["apiSecretKeySecretName"]} == {secret["metadata"]["name"]}
    assert keys == set(secret["stringData"])
    assert json.loads(secret["stringData"]["s3"])["conn_type"] == "aws"
    assert VALUES["config"]["logging"]["remote_log_conn_id"] == S3_CONNECTION


def test_airflows_variables_are_settings():
    values = {one["name"]: one["value"] for one in VALUES["env"]}
    assert {name for name in values if name.startswith(PREFIX)} <= VARIABLES
    settings = Settings(**{name.removeprefix(PREFIX).lower(): value for name, value in values.items()})
    assert settings.runner == "kubernetes"
    assert settings.pod_image == Settings().pod_image
    assert json.loads(values["AIRFLOW_CONN_KUBERNETES_DEFAULT"])["extra"] == {"in_cluster": True}


def test_airflows_account_may_start_pods():
    accounts = {
        VALUES["workers"]["kubernetes"]["serviceAccount"]["name"],
        VALUES["triggerer"]["serviceAccount"]["name"],
    }
    (binding,) = found("RoleBinding")
    assert accounts == {subject["name"] for subject in binding["subjects"] if subject["namespace"] == "airflow"}


def test_airflows_components_have_resources_and_are_not_root():
    assert VALUES["executor"] == "KubernetesExecutor"
    for name in ("triggerer", "scheduler", "dagProcessor", "apiServer"):
        assert set(VALUES[name]["resources"]) == {"requests", "limits"}
    assert set(VALUES["workers"]["kubernetes"]["resources"]) == {"requests", "limits"}
    assert VALUES["securityContexts"]["pod"]["runAsNonRoot"] is True
    assert VALUES["createUserJob"]["enabled"] is False


def test_versions_are_told_once():
    pinned = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    assert VALUES["airflowVersion"] == pinned["apache-airflow"]
    assert f"slim-{pinned['apache-airflow']}-" in (FOLDER / "Dockerfile.airflow").read_text()
    image = VALUES["images"]["airflow"]
    assert image["tag"] == __version__
    assert (VALUES["defaultAirflowRepository"], VALUES["defaultAirflowTag"]) == (image["repository"], image["tag"])
    assert Settings().pod_image.endswith(f":{__version__}")


@pytest.mark.parametrize("lock", ["airflow", "embedding"])
def test_the_locks_of_the_images_are_those_of_the_project(lock):
    project, torch = locked("requirements.lock"), locked("requirements-torch.lock")
    image = locked(f"requirements-{lock}.lock")
    known = {**torch, **project}
    assert {name: versions for name, versions in image.items() if not versions <= known.get(name, versions)} == {}
    assert ("torch" in image, "apache-airflow" in image) == (lock == "embedding", lock == "airflow")
    assert not {"psycopg", "sqlalchemy"} & set(image) or lock == "airflow"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_images_are_pinned_and_take_what_is_there(path):
    defaults = dict(words[1].split("=", 1) for words in instructions(path) if words[0] == "ARG")
    for name, value in defaults.items():
        if name.endswith("_IMAGE"):
            assert re.search(r":[^:]*\d", value)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for words in instructions(path):
        if words[0] == "COPY" and not words[1].startswith("--from"):
            for source in [word for word in words[1:-1] if not word.startswith("--")]:
                assert (ROOT / source).exists()
                assert f"!{Path(source).parts[0]}" in ignored


def test_the_embedding_image_is_not_root():
    lines = instructions(FOLDER / "Dockerfile")
    assert ["ARG", f"USER_ID={USER}"] in lines
    assert [words for words in lines if words[0] == "USER"] == [["USER", "${USER_ID}:${USER_ID}"]]
    assert ["ENTRYPOINT", '["image-retrieval"]'] in lines
    (environment,) = [words for words in lines if words[0] == "ENV" and f"IMAGE_RETRIEVAL_LOCAL_DIR={CACHE}" in words]
    assert f"HF_HOME={CACHE}/huggingface" in environment


def test_airflows_image_is_not_root():
    assert not [words for words in instructions(FOLDER / "Dockerfile.airflow") if words[0] == "USER"]  # the base's


def test_pools_are_those_of_the_embedded_airflow():
    text = (FOLDER / "prepare.sh").read_text()
    made = {}
    for line in re.findall(r"^ +airflow pools set (.+)$", text, re.MULTILINE):
        name, slots, description, *more = shlex.split(line)
        made[name] = {"slots": int(slots), "description": description}
        made[name] |= {"include_deferred": True} if more == ["--include-deferred"] else {}
    assert made == POOLS
    assert VALUES["migrateDatabaseJob"]["args"] == ["bash", "/opt/airflow/include/kubernetes/prepare.sh"]
