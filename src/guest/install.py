"""Unpacks wheels inside a sandbox: a wheel is a zip file from anywhere, so nothing of it is read on the host.

Standard input holds each wheel after a JSON line {"name", "bytes"}. For each file to add to the image, standard output gets one
JSON line {"path", "mode", "bytes"} and that many bytes. Follows the binary distribution format (packaging.python.org): purelib
and platlib into site directories, *.data, console scripts. What cannot be installed ends the program with one line on stderr.
"""
import base64
import configparser
import csv
import hashlib
import io
import json
import os
import re
import sys
import sysconfig
import zipfile

FILE_BYTES_MAX = 1 << 30

SCRIPT = """#!{python}
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({function}())
"""


def fail(message):
    sys.exit(message.replace("\n", " "))


def site_dir():
    """Where the interpreter looks for packages that did not come with it: the first such directory of sys.path."""
    for path in sys.path:
        if os.path.basename(path) in ("site-packages", "dist-packages"):
            return path
    return sysconfig.get_path("purelib")


def scripts_dir():
    return "/usr/local/bin"


def emit(path, mode, data):
    header = {"path": path, "mode": mode, "bytes": len(data)}
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + data)


def check_tags(name):
    """The wheel's file name says what it runs on: PEP 425, by the compatible set of this interpreter."""
    parts = name[:-len(".whl")].split("-")
    if len(parts) not in (5, 6):
        fail(f"{name} is not the name of a wheel")
    pythons, abis, platforms = (part.split(".") for part in parts[-3:])
    major, minor = sys.version_info[:2]

    def python_fits(tag):
        match = re.fullmatch(r"(py|cp)(\d)(\d*)", tag)
        if not match or int(match[2]) != major:
            return False
        if match[3] == "":
            return True
        return int(match[3]) <= minor if match[1] == "py" or "abi3" in abis else int(match[3]) == minor

    def abi_fits(tag):
        return tag in ("none", "abi3", f"cp{major}{minor}")

    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
        glibc = tuple(map(int, libc.split()[1].split(".")[:2]))
    except (AttributeError, IndexError, OSError, ValueError):
        libc, glibc = "musl", None

    def platform_fits(tag):
        if tag in ("any", "linux_x86_64"):
            return True
        legacy = {"manylinux1_x86_64": (2, 5), "manylinux2010_x86_64": (2, 12), "manylinux2014_x86_64": (2, 17)}
        match = re.fullmatch(r"(many|musl)linux_(\d+)_(\d+)_x86_64", tag)
        needs = legacy.get(tag) or (match and match[1] == "many" and (int(match[2]), int(match[3])))
        if needs:
            return glibc is not None and needs <= glibc
        return bool(match) and glibc is None

    if not (any(map(python_fits, pythons)) and any(map(abi_fits, abis)) and any(map(platform_fits, platforms))):
        fail(f"{name} does not fit this image: it has Python {major}.{minor}, {libc}, x86-64")


def check_hash(name, path, data, records):
    """RECORD has the sha256 of each file but itself and signatures."""
    expected = records.get(path)
    if not expected:
        return
    kind, _, value = expected.partition("=")
    digest = base64.urlsafe_b64encode(hashlib.new(kind, data).digest()).rstrip(b"=").decode()
    if digest != value:
        fail(f"{name} is damaged: the checksum of {path} is wrong")


def target(path, info, site):
    """Where a file of the wheel goes: *.data has a directory for each scheme."""
    match = re.fullmatch(r"[^/]+\.data/([^/]+)/(.+)", path)
    if not match:
        return f"{site}/{path}"
    scheme, rest = match.groups()
    places = {"purelib": site, "platlib": site, "scripts": scripts_dir(), "data": "/usr/local",
              "headers": f"/usr/local/include/{info.partition('-')[0]}"}
    return f"{places[scheme]}/{rest}" if scheme in places else None


def entry_points(data):
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str
    parser.read_string(data.decode())
    for section in ("console_scripts", "gui_scripts"):
        if parser.has_section(section):
            yield from parser.items(section)


def install_script(name, script, value):
    match = re.fullmatch(r"\s*([\w.]+)\s*:\s*([\w.]+)\s*(\[.*\])?\s*", value)
    if not match or not re.fullmatch(r"[\w.@+-]+", script):
        fail(f"{name} has an entry point that cannot be: {script} = {value}")
    first = match[2].partition(".")[0]
    text = SCRIPT.format(python=sys.executable, module=match[1], first=first, function=match[2])
    emit(f"{scripts_dir()}/{script}", 0o755, text.encode())


def install(name, data):
    check_tags(name)
    site = site_dir()
    try:
        wheel = zipfile.ZipFile(io.BytesIO(data))
        paths = [info.filename for info in wheel.infolist() if not info.is_dir()]
        infos = sorted({path.partition("/")[0] for path in paths if re.fullmatch(r"[^/]+\.dist-info/.*", path)})
        if len(infos) != 1 or f"{infos[0]}/RECORD" not in paths:
            fail(f"{name} is not a wheel: it has no .dist-info/RECORD")
        info = infos[0]
        records = {row[0]: row[1] for row in csv.reader(io.StringIO(wheel.read(f"{info}/RECORD").decode())) if len(row) == 3}
        for entry in wheel.infolist():
            path = entry.filename
            if entry.is_dir():
                continue
            if path.startswith("/") or ".." in path.split("/"):
                fail(f"{name} has a file outside of it: {path}")
            if entry.file_size > FILE_BYTES_MAX:
                fail(f"{name} has a file of {entry.file_size} bytes: {path}")
            content = wheel.read(entry)
            check_hash(name, path, content, records)
            place = target(path, info, site)
            if place is None:
                continue
            mode = 0o755 if entry.external_attr >> 16 & 0o111 else 0o644
            if f"{info[:-len('.dist-info')]}.data/scripts/" in path:
                mode = 0o755
                if content.startswith(b"#!python"):
                    content = b"#!" + sys.executable.encode() + content[len(b"#!python"):]
            emit(place, mode, content)
        emit(f"{site}/{info}/INSTALLER", 0o644, b"offshoot\n")
        if f"{info}/entry_points.txt" in paths:
            for script, value in entry_points(wheel.read(f"{info}/entry_points.txt")):
                install_script(name, script, value)
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, configparser.Error, csv.Error) as error:
        fail(f"{name} cannot be unpacked: {error}")
    except Exception as error:
        if type(error).__name__ != "error":  # zlib.error
            raise
        fail(f"{name} cannot be unpacked: {error}")


def main():
    stream = sys.stdin.buffer
    while True:
        line = stream.readline()
        if not line:
            break
        header = json.loads(line)
        install(header["name"], stream.read(header["bytes"]))
    sys.stdout.flush()


main()
