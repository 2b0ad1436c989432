#!/usr/bin/python3
"""sbom.py PROGRAM: what the program is made of, as CycloneDX JSON: the libraries that it is linked with, by the Debian
packages they are of, and those of which only headers are compiled in. Licences are those of docs/dependencies.md."""
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout


def needed(program):
    """The shared libraries that it names itself."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", said("readelf", "-d", program))


def package_of(program, library):
    """The Debian package that a shared library is of, here."""
    path = re.search(rf"{re.escape(library)} => (\S+)", said("ldd", program))[1]
    for name in (path, str(Path(path).resolve()), "/usr" + path):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False).stdout
        if found:
            return found.split(":")[0]
    raise LookupError(f"no package has {path}")


def table():
    """The rows of docs/dependencies.md: what is built with, what is there at run time, licence."""
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \| (.+?) \|", page, re.MULTILINE)
    return [tuple(cell.strip().strip("`") for cell in row) for row in rows]


def installed(package):
    """Its version and architecture."""
    return said("dpkg-query", "-W", "-f", "${Version} ${Architecture}", package).split()


def component(package, licence, provides):
    version, architecture = installed(package)
    made = {"type": "library", "name": package, "version": version,
            "purl": f"pkg:deb/debian/{package}@{version}?arch={architecture}",
            "properties": [{"name": "provides", "value": provides}]}
    if licence:
        made["licenses"] = [{"license": {"name": licence}}]
    return made


def bill(program):
    licences = {at_run_time: licence for _, at_run_time, licence in table()}
    components = {}
    for library in needed(program):
        package = package_of(program, library)
        if package in components:
            components[package]["properties"].append({"name": "provides", "value": library})
        else:
            components[package] = component(package, licences.get(package, ""), library)
    for build, at_run_time, licence in table():
        if at_run_time.startswith("(") and build.endswith("-dev"):
            components[build] = component(build, licence, "compiled in")
    version = re.search(r"pgweir (\S+)", said(program, "--version"))[1]
    return {"bomFormat": "CycloneDX", "specVersion": "1.4", "version": 1,
            "metadata": {"component": {"type": "application", "name": "pgweir", "version": version,
                                       "licenses": [{"license": {"id": "ISC"}}]}},
            "components": [components[name] for name in sorted(components)]}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(json.dumps(bill(sys.argv[1]), indent=2))
