"""Writes a container image of two layers below argv[1], as `skopeo copy … oci:layout` and as `docker save` do. argv[2]: a static busybox."""
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

out, busybox = sys.argv[1], open(sys.argv[2], "rb").read()
FILE, DIRECTORY, SYMLINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE


def archive(*entries):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, mode, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.type = mode, kind
            if kind == SYMLINK:
                info.linkname = content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if kind == FILE else None)
    return data.getvalue()


layers = [
    archive(("bin", 0o755, DIRECTORY, b""), ("bin/busybox", 0o755, FILE, busybox), ("bin/sh", 0o777, SYMLINK, "busybox"),
            ("etc", 0o755, DIRECTORY, b""), ("etc/old", 0o600, FILE, b"old"), ("etc/keep", 0o640, FILE, b"keep")),
    archive(("etc", 0o755, DIRECTORY, b""), ("etc/.wh.old", 0o600, FILE, b""), ("etc/new", 0o604, FILE, b"new")),
]
digest = lambda data: "sha256:" + hashlib.sha256(data).hexdigest()
config = json.dumps({
    "architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin", "GREETING=hello"]},
    "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
}).encode()

blobs = out + "/layout/blobs/sha256"
os.makedirs(blobs)


def blob(kind, data):
    with open(f"{blobs}/{digest(data)[7:]}", "wb") as file:
        file.write(data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": digest(data), "size": len(data)}


manifest = {
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": blob("config.v1+json", config),
    "layers": [blob("layer.v1.tar+gzip", gzip.compress(layers[0])), blob("layer.v1.tar", layers[1])],
}
entry = blob("manifest.v1+json", json.dumps(manifest).encode()) | {"annotations": {"org.opencontainers.image.ref.name": "latest"}}
with open(out + "/layout/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [entry]}, file)
with open(out + "/layout/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion": "1.0.0"}')

saved = json.dumps([{"Config": "c.json", "RepoTags": ["x:latest"], "Layers": ["a/layer.tar", "b/layer.tar"]}]).encode()
with open(out + "/saved.tar", "wb") as file:
    file.write(archive(("a/layer.tar", 0o644, FILE, layers[0]), ("b/layer.tar", 0o644, FILE, layers[1]), ("c.json", 0o644, FILE, config),
                       ("manifest.json", 0o644, FILE, saved)))
