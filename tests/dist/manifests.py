"""The parts of dist/kubernetes, dist/nomad and dist/container agree with each other and with dray: manifests.py TOP ALL.yaml

ALL.yaml is what kustomize has made. Prints what is wrong; the exit status says whether there was something.
"""
import re
import sys
from pathlib import Path

import hcl2
import yaml

top, built = Path(sys.argv[1]), Path(sys.argv[2])
wrong = []


def expect(true, what):
    if not true:
        wrong.append(what)


# dray.conf(5) names each variable that is a setting; conf_keys' test holds it against the programs.
man = (top / "man/dray.conf.5").read_text()
settings = set(re.findall(r"\bDRAY_[A-Z0-9_]+\b", man))
# what a job may take, before it is ended; a worker that drains waits so long
job_time_s = int(re.search(r'job_time_s, "(\d+)"', (top / "common/conf/conf.c").read_text()).group(1))


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def known(names, where):
    for name in names:
        if name.startswith("DRAY_"):
            expect(name in settings, f"{where}: {name} is no setting")


# ---- Kubernetes

objects = {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(built.read_text())}
sets = {name: o for (kind, name), o in objects.items() if kind == "StatefulSet"}
expect(set(sets) == {"dray-coordinator", "dray-worker"}, f"sets: {sorted(sets)}")
for (kind, name), o in objects.items():
    if kind != "Namespace":
        expect(o["metadata"].get("namespace") == "dray", f"{kind} {name}: its namespace")

for name, o in sets.items():
    pod = o["spec"]["template"]["spec"]
    labels = o["spec"]["template"]["metadata"]["labels"]
    volumes = {v["name"]: v for v in pod["volumes"]}
    volumes.update({v["metadata"]["name"]: v for v in o["spec"].get("volumeClaimTemplates", [])})
    for v in pod["volumes"]:
        for kind, key in ("Secret", "secretName"), ("ConfigMap", "name"):
            if kind[0].lower() + kind[1:] in v:
                of = v[kind[0].lower() + kind[1:]][key]
                expect((kind, of) in objects, f"{name}: there is no {kind} {of}")
    service = objects[("Service", o["spec"]["serviceName"])]
    expect(service["spec"]["selector"].items() <= labels.items(), f"{name}: its service selects others")
    ports = {p["name"]: p["containerPort"] for c in pod["containers"] for p in c.get("ports", [])}
    for p in service["spec"]["ports"]:
        expect(ports.get(p["targetPort"]) == p["port"], f"{name}: port {p['name']} of its service")
    for c in pod["initContainers"] + pod["containers"]:
        for m in c.get("volumeMounts", []):
            expect(m["name"] in volumes, f"{name}: there is no volume {m['name']}")
        image = c["image"]
        expect(":" in image and not image.endswith(":latest") and "/" in image, f"{name}: image {image}")
        expect(c["securityContext"]["capabilities"]["drop"] == ["ALL"], f"{name} {c['name']}: capabilities")
        expect("memory" in c["resources"]["limits"], f"{name} {c['name']}: no limit of memory")
        known([e["name"] for e in c.get("env", [])], name)
    expect(pod["automountServiceAccountToken"] is False, f"{name}: it has the cluster's token")

worker = sets["dray-worker"]["spec"]["template"]["spec"]
expect(worker["terminationGracePeriodSeconds"] > job_time_s, "worker: it is killed while it drains")
expect(worker["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["/usr/local/bin/drain"], "worker: preStop")
expect(worker["hostUsers"] is False, "worker: no user namespace of its own")

hpa = objects[("HorizontalPodAutoscaler", "dray-worker")]["spec"]
expect(hpa["scaleTargetRef"]["name"] in sets, "autoscaler: its target")
metric = hpa["metrics"][0]["external"]["metric"]["name"]
keys = [k for k in objects[("Secret", "dray-worker-keys")]["data"] if k.startswith("dray-worker-")]
expect(len(keys) >= hpa["maxReplicas"], "autoscaler: more workers than keys")
for i in range(hpa["maxReplicas"]):
    expect(f"dray-worker-{i}" in keys, f"there is no key dray-worker-{i}")
allowed = objects[("ConfigMap", "dray-allowed-keys")]["data"]["allowed-keys"]
expect(len(re.findall(r"^worker \S{40} dray-worker-\d+ sign=[0-9a-f]{64}$", allowed, re.M)) == len(keys), "allowed-keys")
metrics = top / "coordinator/page/metrics.c"
if metrics.exists():
    expect(f'"{metric}"' in metrics.read_text(), f"autoscaler: the coordinator has no metric {metric}")
for (kind, name), o in objects.items():
    if kind == "NetworkPolicy" and o["spec"]["podSelector"]:
        of = o["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        expect(of in sets, f"policy {name}: it is about nobody")

# ---- Nomad


def parts(blocks):
    """Blocks with a label, as hcl2 has them: one dict for each."""
    out = {}
    for b in blocks:
        for k, v in b.items():
            out[k.strip('"')] = v
    return out


job = parts(hcl2.loads((top / "dist/nomad/dray.nomad.hcl").read_text())["job"])["dray"]
groups = parts(job["group"])
expect(set(groups) == {"coordinator", "worker"}, f"nomad: groups {sorted(groups)}")
for name, group in groups.items():
    task = parts(group["task"])[name]
    known(task["env"][0], f"nomad: {name}")
    expect(task["config"][0]["cap_drop"] in (["all"], ['"all"']), f"nomad: {name}: capabilities")
    if name == "worker":
        expect(seconds(task["kill_timeout"].strip('"')) > job_time_s, "nomad: it is killed while it drains")
        query = group["scaling"][0]["policy"][0]["check"][0]
        expect(metric in str(query), "nomad: another metric than Kubernetes'")

# ---- containers

file = (top / "dist/container/Containerfile").read_text()
known(re.findall(r"\b(DRAY_[A-Z_]+)=", file), "Containerfile")
for target in "coordinator", "worker", "client":
    expect(re.search(rf"^FROM base AS {target}$", file, re.M), f"Containerfile: no target {target}")
for library in re.findall(r"\blib[a-z0-9.+-]+-dev\b", file):
    expect(library in (top / "tools/packages").read_text(), f"Containerfile: {library} is not in tools/packages")

print("\n".join(wrong))
sys.exit(bool(wrong))
