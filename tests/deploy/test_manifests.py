"""The manifests are valid, and keep the promises a cluster's operator relies on."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.data.settings import DatabaseSettings
from libs.jobs.worker import POOL_MAX
from libs.rpc.health import LIVENESS
from services.operations.databases import SERVICE_ROLES
from services.operations.settings import OperationsSettings
from tests.deploy.manifests import K8S, OVERLAYS, ROOT, Manifest, containers, of_kind, pod_spec, render
from tests.programs import program

SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/__init__.py"))
CONNECTIONS_OF_A_MIGRATION = 2


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(K8S / "overlays" / request.param)


def environment(item: Manifest, config: Manifest) -> dict[str, Any]:
    (container,) = containers(item)
    own = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}
    shared = config["data"] if container.get("envFrom") else {}
    return {**shared, **own}


def run_validator(path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("kubernetes-validate")
    return subprocess.run([str(program), "--strict", "--quiet", str(path)], capture_output=True, text=True)


def test_every_object_is_valid_by_the_schema_of_kubernetes(objects: list[Manifest], tmp_path: Path) -> None:
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(yaml.safe_dump_all(objects))
    result = run_validator(rendered)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_validator_rejects_a_field_that_does_not_exist(tmp_path: Path) -> None:
    (config,) = of_kind(render(K8S / "base"), "ConfigMap").values()
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump({**config, "dada": {}}))
    assert run_validator(tmp_path / "wrong.yaml").returncode != 0


def test_every_manifest_file_is_part_of_a_kustomization() -> None:
    kustomizations = [K8S / "base", *(K8S / "overlays" / name for name in OVERLAYS)]
    for folder in kustomizations:
        content = yaml.safe_load((folder / "kustomization.yaml").read_text())
        named = {*content["resources"], *(patch["path"] for patch in content.get("patches", []))}
        present = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert present == {name for name in named if name.endswith(".yaml")}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_our_rendering_is_that_of_kustomize(overlay: str) -> None:
    folder = K8S / "overlays" / overlay
    output = subprocess.run(
        [program("kustomize"), "build", str(folder)], capture_output=True, text=True, check=True
    ).stdout

    def key(item: Manifest) -> str:
        return f"{item['kind']}/{item['metadata']['name']}"

    assert sorted(yaml.safe_load_all(output), key=key) == sorted(render(folder), key=key)


def test_every_service_is_deployed_with_an_address_and_a_disruption_budget(objects: list[Manifest]) -> None:
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        assert set(of_kind(objects, kind)) == {f"tally-{service}" for service in SERVICES}


def test_what_selects_pods_selects_those_of_its_own_deployment(objects: list[Manifest]) -> None:
    for name, deployment in of_kind(objects, "Deployment").items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert of_kind(objects, "Service")[name]["spec"]["selector"] == labels
        assert of_kind(objects, "PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels
        for spread in pod_spec(deployment)["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"] == labels


def test_a_disruption_budget_lets_a_node_be_drained_and_leaves_somebody_serving(objects: list[Manifest]) -> None:
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    for name, budget in of_kind(objects, "PodDisruptionBudget").items():
        deployment = of_kind(objects, "Deployment")[name]
        replicas = scalers[name]["spec"]["minReplicas"] if name in scalers else deployment["spec"]["replicas"]
        assert 1 <= budget["spec"]["maxUnavailable"] < replicas


def test_a_scaled_deployment_leaves_its_number_of_replicas_to_the_autoscaler(objects: list[Manifest]) -> None:
    for name, scaler in of_kind(objects, "HorizontalPodAutoscaler").items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in of_kind(objects, "Deployment")[name]["spec"]


def test_every_container_runs_as_nobody_on_a_file_system_it_cannot_change(objects: list[Manifest]) -> None:
    for item in objects:
        for container in containers(item):
            pod, own = pod_spec(item)["securityContext"], container["securityContext"]
            assert pod["runAsNonRoot"] is True
            assert pod["runAsUser"] >= 10000
            assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
            assert own["readOnlyRootFilesystem"] is True
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert not own.get("privileged")


def test_no_pod_holds_a_token_or_shares_anything_of_its_node(objects: list[Manifest]) -> None:
    accounts = of_kind(objects, "ServiceAccount")
    for item in (*of_kind(objects, "Deployment").values(), *of_kind(objects, "Job").values()):
        spec = pod_spec(item)
        assert spec["automountServiceAccountToken"] is False
        assert accounts[spec["serviceAccountName"]]["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert all("hostPath" not in volume for volume in spec.get("volumes", []))
    used = {pod_spec(item)["serviceAccountName"] for item in objects if list(containers(item))}
    assert used == set(accounts)


def test_every_container_asks_for_what_it_needs_and_is_limited(objects: list[Manifest]) -> None:
    for item in objects:
        for container in containers(item):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def test_every_image_is_a_named_version(objects: list[Manifest]) -> None:
    for item in objects:
        for container in containers(item):
            assert ":" in container["image"]
            assert not container["image"].endswith(":latest")


def test_probes_ask_the_server_itself_and_an_absent_database_restarts_nobody(objects: list[Manifest]) -> None:
    for deployment in of_kind(objects, "Deployment").values():
        (container,) = containers(deployment)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert container["readinessProbe"]["grpc"] == {"port": ports["grpc"]}
        assert container["livenessProbe"]["grpc"] == {"port": ports["grpc"], "service": LIVENESS}
        assert container["startupProbe"]["grpc"] == {"port": ports["grpc"], "service": LIVENESS}


def test_the_ports_are_those_the_services_listen_on(objects: list[Manifest]) -> None:
    config = of_kind(objects, "ConfigMap")["tally-config"]["data"]
    for name, deployment in of_kind(objects, "Deployment").items():
        (container,) = containers(deployment)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert config["TALLY_LISTEN"] == f"0.0.0.0:{ports['grpc']}"
        assert config["TALLY_METRICS_LISTEN"] == f"0.0.0.0:{ports['metrics']}"
        service = of_kind(objects, "Service")[name]["spec"]
        assert {port["targetPort"] for port in service["ports"]} == ports.keys()


def test_a_pod_has_time_to_drain_before_it_is_killed(objects: list[Manifest]) -> None:
    config = of_kind(objects, "ConfigMap")["tally-config"]
    for deployment in of_kind(objects, "Deployment").values():
        env = environment(deployment, config)
        drain = float(env["TALLY_DRAIN_PAUSE_SECONDS"]) + float(env["TALLY_DRAIN_SECONDS"])
        assert pod_spec(deployment)["terminationGracePeriodSeconds"] >= drain + 20
        assert float(env["TALLY_DRAIN_SECONDS"]) >= float(env["TALLY_DEFAULT_DEADLINE_SECONDS"])


def test_a_service_logs_in_as_itself_by_a_secret_that_is_not_here(objects: list[Manifest]) -> None:
    assert not of_kind(objects, "Secret")
    config = of_kind(objects, "ConfigMap")["tally-config"]
    assert "TALLY_DATABASE_URL" not in config["data"]
    for name, deployment in of_kind(objects, "Deployment").items():
        service = name.removeprefix("tally-")
        env = environment(deployment, config)
        secret = {"name": "tally-database", "key": f"{service}-url"}
        assert env["TALLY_DATABASE_URL"] == {"secretKeyRef": secret}


def test_what_a_migration_needs_is_applied_before_the_services(objects: list[Manifest]) -> None:
    first = [item for item in objects if item["metadata"].get("labels", {}).get("tally.dev/phase") == "prepare"]
    kinds = {item["kind"] for item in first}
    assert kinds == {"Namespace", "ConfigMap", "ServiceAccount", "NetworkPolicy", "Job"}
    (job,) = of_kind(first, "Job").values()
    (container,) = containers(job)
    assert container["args"] == ["libs.data.migrate"]
    assert pod_spec(job)["serviceAccountName"] in of_kind(first, "ServiceAccount")
    images = {container["image"] for item in objects for container in containers(item)}
    assert len(images) == 1


def test_every_pod_is_closed_to_what_no_policy_names(objects: list[Manifest]) -> None:
    policies = of_kind(objects, "NetworkPolicy")
    everybody = {"matchLabels": {"app.kubernetes.io/part-of": "tally"}}
    closed = policies["tally-default-deny"]["spec"]
    assert closed == {"podSelector": everybody, "policyTypes": ["Ingress", "Egress"]}
    for item in (*of_kind(objects, "Deployment").values(), *of_kind(objects, "Job").values()):
        labels = item["spec"]["template"]["metadata"]["labels"]
        assert everybody["matchLabels"].items() <= labels.items()
    for policy in policies.values():
        for rule in (*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])):
            assert rule.get("from") or rule.get("to")
            assert rule["ports"]


def connections_for_other_services(env: dict[str, Any]) -> int:
    """What operations opens besides its own: for writing and for reading with each service's role, and for the queue."""
    default = OperationsSettings.model_fields["operations_service_pool_max"].default
    each = int(env.get("TALLY_OPERATIONS_SERVICE_POOL_MAX", default))
    return 2 * each * len(SERVICE_ROLES) + POOL_MAX


def test_all_pools_at_full_scale_and_mid_rollout_fit_into_postgres(objects: list[Manifest]) -> None:
    config = of_kind(objects, "ConfigMap")["tally-config"]
    notes = config["metadata"]["annotations"]
    available = int(notes["tally.dev/postgres-max-connections"])
    reserved = int(notes["tally.dev/postgres-reserved-connections"])
    defaults = DatabaseSettings.model_fields
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    needed = CONNECTIONS_OF_A_MIGRATION * len(of_kind(objects, "Job"))
    for name, deployment in of_kind(objects, "Deployment").items():
        env = environment(deployment, config)
        pools = sum(
            int(env.get(f"TALLY_{pool.upper()}", defaults[pool].default))
            for pool in ("write_pool_max", "read_pool_max")
        )
        if name == "tally-operations":
            pools += connections_for_other_services(env)
        replicas = scalers[name]["spec"]["maxReplicas"] if name in scalers else deployment["spec"]["replicas"]
        surge = deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        needed += pools * (replicas + surge)
    assert needed <= available - reserved
