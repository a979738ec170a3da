#!/usr/bin/env python3
"""What a CI would run of the files in dist/ci, for scenarios.

    ci.py github FILE N NAME=VALUE…  the Nth step of the action, as its shell gets it, with these inputs
    ci.py gitlab FILE SECTION        before_script or after_script of .dray, with its variables
    ci.py names FILE                 the commands of dray with their options, and the variables DRAY_…, that are named
"""
import re
import shlex
import sys

import yaml


def github(file, number, *given):
    action = yaml.safe_load(open(file))
    step = action["runs"]["steps"][int(number)]
    inputs = {name: i["default"] for name, i in action["inputs"].items()}
    for g in given:
        name, _, value = g.partition("=")
        if name not in inputs:
            sys.exit("no such input: " + name)
        inputs[name] = value
    assert action["runs"]["using"] == "composite" and step["shell"] == "bash"
    match = re.fullmatch(r"inputs\.step == '(\w+)'", step["if"])
    print("set -eo pipefail")
    if match.group(1) != inputs["step"]:
        return
    for name, value in step.get("env", {}).items():
        value = re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: inputs[m.group(1)], value)
        print("export %s=%s" % (name, shlex.quote(value)))
    # an expression in a script is a way to run what is in its value
    assert "${{" not in step["run"]
    print(step["run"])


def gitlab(file, section):
    job = yaml.safe_load(open(file))[".dray"]
    print("set -eo pipefail")
    for name, value in job["variables"].items():
        print('export %s="%s"' % (name, value))
    print("\n".join(job[section]))


def names(file):
    text = re.sub(r"'[^']*'|::warning::.*", "", re.sub(r"(?m)^\s*#.*$", "", open(file).read()))
    for command, rest in re.findall(r"\bdray ([a-z]+)((?: --?[a-z-]+| \"?\$\w+\"?| \d+)*)", text):
        if command not in ("has", "in", "up"):
            print("dray", command, *re.findall(r"--?[a-z-]+", rest))
    for name in sorted(set(re.findall(r"\bDRAY_[A-Z_]+\b", text))):
        print(name)


if __name__ == "__main__":
    {"github": github, "gitlab": gitlab, "names": names}[sys.argv[1]](*sys.argv[2:])
