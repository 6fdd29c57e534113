"""The files of deploy/: what they call exists, what they mount is there, and the schemas of their tools hold."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from command_lines import commands_of, parse, run_recorded

from vtsearch.serve.guard import OPEN

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.33"
MANIFESTS = sorted((DEPLOY / "kuberay").glob("*.yaml"))


# -- Slurm -------------------------------------------------------------------------------------------------------------


def slurm(name, arguments, tmp_path, **environment):
    variables = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "8", "SLURM_JOB_NODELIST": "node[1-2]", **environment}
    return run_recorded([DEPLOY / "slurm" / name], arguments, tmp_path, ("vtsearch", "torchrun"), variables)


def encode(tmp_path, *arguments, **environment):
    result, calls = slurm("encode.sbatch", arguments, tmp_path, SLURM_ARRAY_TASK_ID="3", **environment)
    assert result.returncode == 0, result.stderr
    ((program, *argv),) = calls
    assert program == "vtsearch"
    return parse(argv)


def test_a_task_of_an_array_encodes_its_share(tmp_path):
    args = encode(tmp_path, "my photos", "model", "index", SLURM_ARRAY_TASK_COUNT="16")
    assert (args.images, args.model, args.output) == (["my photos"], "model", "index")
    assert (args.worker, args.workers) == ("3/16", 7)


def test_a_task_that_is_run_again_knows_how_many_there_are(tmp_path):
    args = encode(tmp_path, "photos", "model", "index", SLURM_ARRAY_TASK_COUNT="1", WORKERS="16")
    assert args.worker == "3/16"


def test_a_task_without_its_arguments_says_what_they_are(tmp_path):
    result, calls = slurm("encode.sbatch", ["photos"], tmp_path, SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_COUNT="4")
    assert (result.returncode, calls) == (1, [])
    assert "usage: sbatch encode.sbatch IMAGES MODEL INDEX" in result.stderr


TRAIN = ["--protocol", "digits", "--framework", "csq", "--bits", "64", "--output", "my run"]


def train(tmp_path, **environment):
    variables = {"SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "8", **environment}
    result, calls = slurm("train.sbatch", TRAIN, tmp_path, **variables)
    assert result.returncode == 0, result.stderr
    ((program, *words),) = calls
    assert program == "torchrun"
    start = words.index("vtsearch")
    return words[: start + 1], parse(words[start + 1 :])


def test_a_job_on_two_nodes_meets_at_the_first(tmp_path):
    launch, args = train(tmp_path)
    assert shlex.join(launch) == (
        "--nnodes 2 --nproc-per-node 8 --rdzv-id 7 --rdzv-backend c10d --rdzv-endpoint node1:29500 --module vtsearch"
    )
    assert (args.protocol, args.output, args.resume) == ("digits", "my run", False)


def test_a_job_that_was_requeued_resumes(tmp_path):
    _, args = train(tmp_path, SLURM_RESTART_COUNT="1")
    assert args.resume


def test_nodes_without_gpus_have_a_process_each(tmp_path):
    launch, _ = train(tmp_path, SLURM_GPUS_ON_NODE="")
    assert "--nproc-per-node 1" in shlex.join(launch)


# -- Dockerfile --------------------------------------------------------------------------------------------------------


def instructions():
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def last(name):
    return next(rest for word, rest in reversed(instructions()) if word == name)


def test_the_container_serves_an_index():
    assert yaml.safe_load(last("ENTRYPOINT")) == ["vtsearch"]
    args = parse(yaml.safe_load(last("CMD")))
    assert (args.index, args.host, args.port, args.read_only) == (["/data/index"], "0.0.0.0", 8000, True)
    assert last("EXPOSE") == str(args.port)


def test_the_health_of_the_container_is_asked_where_the_server_answers_without_a_token():
    options, check = last("HEALTHCHECK").split("CMD")
    assert "--interval=" in options
    program, flag, code = yaml.safe_load(check)
    assert (program, flag) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    (path,) = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", code)
    assert path in OPEN


def test_the_second_stage_is_slim_has_no_root_and_installs_nothing():
    stages = [place for place, (word, _) in enumerate(instructions()) if word == "FROM"]
    second = instructions()[stages[1] :]
    assert (len(stages), second[0][1]) == (2, "python:${PYTHON}-slim")
    assert ["USER", "1000"] in second
    assert not any(re.search("apt-get|pip ", rest) for word, rest in second if word == "RUN")


def test_the_container_is_built_of_what_the_wheel_needs():
    copied = {
        name for word, rest in instructions() if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {name for line in allowed if (name := line.removeprefix("!")) != line} == copied
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {
        "pyproject.toml",
        "CMakeLists.txt",
        "src",
        "csrc",
        "cmake",
        project["readme"],
        *project["license-files"],
    } == copied


def test_extras_of_the_container_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = "".join(path.read_text() for path in DEPLOY.rglob("*") if path.is_file())
    named = re.findall(r"EXTRAS[=:] ?([\w,]+)", text)
    assert len(named) > 3
    assert {extra for names in named for extra in names.split(",")} <= set(extras)


# -- Compose -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def services():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def test_compose_serves_the_index_that_it_exports(services):
    serve, export = (parse(services[name]["command"]) for name in ("serve", "export"))
    assert serve.index == [export.source] == ["/data/index"]
    for name in ("serve", "export"):
        assert "${INDEX:?folder of the index}:/data/index:ro" in services[name]["volumes"]
    assert serve.read_only
    assert services["serve"]["ports"] == [f"127.0.0.1:{serve.port}:{serve.port}"]


def test_compose_exports_to_its_own_database_once_that_is_ready(services):
    export, database = services["export"], services["postgres"]["environment"]
    target = f"postgresql://{database['POSTGRES_USER']}@postgres/{database['POSTGRES_DB']}"
    assert parse(export["command"]).target == target
    assert export["environment"]["PGPASSWORD"] == database["POSTGRES_PASSWORD"]
    assert export["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert export["profiles"] == ["export"]


def test_compose_publishes_to_this_machine_alone(services):
    assert [service for service, fields in services.items() if "ports" in fields] == ["serve"]
    assert all(port.startswith("127.0.0.1:") for port in services["serve"]["ports"])


# -- Kubernetes --------------------------------------------------------------------------------------------------------

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
GROUP = {"rayStartParams": TEXTS, "template": {"type": "object"}}
COUNT = {"type": "integer", "minimum": 0}


def strictly(fields, *required):
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


CLUSTER = strictly(
    {
        "rayVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "authOptions": strictly({"mode": {"enum": ["token"]}}, "mode"),
        "enableInTreeAutoscaling": {"type": "boolean"},
        "autoscalerOptions": strictly({"version": {"enum": ["v1", "v2"]}, "idleTimeoutSeconds": COUNT}),
        "headGroupSpec": strictly(GROUP, "rayStartParams", "template"),
        "workerGroupSpecs": {
            "type": "array",
            "items": strictly(
                {
                    **GROUP,
                    "groupName": {"type": "string"},
                    **dict.fromkeys(("replicas", "minReplicas", "maxReplicas"), COUNT),
                },
                *("groupName", "rayStartParams", "template", "minReplicas", "maxReplicas"),
            ),
        },
    },
    "headGroupSpec",
)
JOB = strictly(
    {
        "clusterSelector": TEXTS,
        "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        "submitterConfig": strictly({"backoffLimit": COUNT}),
        "entrypoint": {"type": "string"},
    },
    "entrypoint",
)
RAY = {"RayCluster": CLUSTER, "RayJob": JOB}
"""The fields of KubeRay's ray.io/v1 that the manifests use, by its types; pods are Kubernetes' own."""


def resources():
    return [resource for path in MANIFESTS for resource in yaml.safe_load_all(path.read_text())]


def named(kind, name="vtsearch"):
    (found,) = (each for each in resources() if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found["spec"]


def pods():
    cluster = named("RayCluster")
    return [
        *(group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])),
        named("Deployment", "vtsearch-serve")["template"],
    ]


@pytest.mark.parametrize(
    "resource", resources(), ids=lambda resource: f"{resource['kind']} {resource['metadata']['name']}"
)
def test_a_resource_is_as_its_schema_says(resource):
    if resource["kind"] not in RAY:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)
        return
    assert resource["apiVersion"] == "ray.io/v1"
    assert re.fullmatch(r"[a-z][-a-z0-9]{0,40}", resource["metadata"]["name"])
    jsonschema.validate(resource["spec"], RAY[resource["kind"]])


@pytest.mark.parametrize("pod", pods(), ids=lambda pod: pod["spec"]["containers"][0]["name"])
def test_a_pod_is_one_of_kubernetes(pod):
    metadata = {"name": "pod", **pod.get("metadata", {})}
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}, KUBERNETES, strict=True
    )


def test_a_schema_refuses_a_field_that_kuberay_does_not_have():
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        jsonschema.validate({**named("RayCluster"), "minReplica": 1}, CLUSTER)


def test_pods_mount_the_volume_that_is_claimed_and_run_as_the_user_of_the_image():
    user = last("USER")
    claim = named("PersistentVolumeClaim")
    assert claim["accessModes"] == ["ReadWriteMany"]
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "vtsearch"}
        (container,) = pod["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert str(pod["spec"]["securityContext"]["runAsUser"]) == user
        assert container["image"] == pods()[0]["spec"]["containers"][0]["image"]


def test_the_cluster_grows_with_the_work_and_keeps_its_head_free():
    cluster = named("RayCluster")
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    assert all(group["minReplicas"] <= group["replicas"] < group["maxReplicas"] for group in groups.values())
    gpus = {
        name: group["template"]["spec"]["containers"][0]["resources"]["limits"].get("nvidia.com/gpu")
        for name, group in groups.items()
    }
    assert gpus == {"cpu": None, "gpu": 1}


def test_the_job_encodes_on_the_cluster():
    job = named("RayJob", "vtsearch-encode")
    assert job["clusterSelector"] == {"ray.io/cluster": "vtsearch"}
    program, *argv = shlex.split(job["entrypoint"])
    args = parse(argv)
    assert (program, args.images, args.output, args.ray) == ("vtsearch", ["/data/photos"], "/data/index", "auto")


def test_the_server_joins_the_cluster_and_serves_its_shards(tmp_path):
    (container,) = named("Deployment", "vtsearch-serve")["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    program, flags, script = container["command"]
    assert (program, flags) == ("/bin/bash", "-euc")
    result, calls = run_recorded([flags, script], [], tmp_path, ("ray", "vtsearch"), environment)
    assert result.returncode == 0, result.stderr
    (ray, *start), (vtsearch, *argv) = calls
    assert (ray, vtsearch) == ("ray", "vtsearch")
    assert start[:3] == ["start", "--address=vtsearch-head-svc:6379", "--num-cpus=0"]
    args = parse(argv)
    assert (args.index, args.ray, args.shards, args.replicas) == (["/data/index"], "vtsearch-head-svc:6379", 8, 2)
    assert args.port == container["ports"][0]["containerPort"]


def test_requests_of_the_service_reach_the_server():
    deployment, service = named("Deployment", "vtsearch-serve"), named("Service", "vtsearch-serve")
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == service["selector"] == labels
    (container,) = deployment["template"]["spec"]["containers"]
    assert service["ports"][0]["targetPort"] == container["ports"][0]["name"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in OPEN
        assert container[probe]["httpGet"]["port"] == container["ports"][0]["name"]


# -- Documents ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "section"), [("README.md", "\n## On a cluster\n"), ("docs/scale.md", "")])
def test_commands_of_a_page_are_understood(page, section):
    text = (ROOT / page).read_text()
    start = text.index(section)
    commands = commands_of(text[start : text.find("\n## ", start + 1) if section else None])
    assert len(commands) >= 4
    for argv in commands:
        parse(argv)


@pytest.mark.parametrize(
    "path",
    sorted(path for path in DEPLOY.rglob("*") if path.suffix in {".yaml", ".sbatch", ""} and path.is_file()),
    ids=lambda path: path.name,
)
def test_a_file_is_named_in_the_documents_which_say_what_was_tried(path):
    assert "docs/scale.md says what of this file was tried" in path.read_text().replace("\n#", "")
    assert f"deploy/{path.relative_to(DEPLOY)}" in (ROOT / "docs" / "scale.md").read_text()
