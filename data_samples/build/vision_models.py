"""Cut the four vision files of data_samples/models out of the public packages that carry them.

    pip download --no-deps mediapipe==0.10.14 --python-version 3.11 --only-binary :all: \
        --platform manylinux2014_x86_64
    npm pack @mediapipe/face_mesh@0.4.1657299874 @vladmandic/face-api@1.7.15
    python data_samples/build/vision_models.py FOLDER_WITH_THE_THREE_FILES

No package is installed and nothing is executed: the files are read as archives. Licences:
models/LICENSES.md.
"""

import hashlib
import json
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

MODELS = Path(__file__).resolve().parent.parent / "models"
SOURCES = {  # glob pattern: first 16 digits of the sha256 of the file the shipped weights came from
    "mediapipe-0.10.14-*.whl": "a807328339e7356f",
    "mediapipe-face_mesh-0.4.1657299874.tgz": "c08a7e0742a32628",
    "vladmandic-face-api-1.7.15.tgz": "0d77fffeef362ef9",
}


def source(folder: Path, pattern: str) -> Path:
    """Find one downloaded package and make sure that it is the very file used before."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise SystemExit(
            f"{folder} holds no {pattern}: download it first (see the top of this script)"
        )
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()[:16]
    if digest != SOURCES[pattern]:
        raise SystemExit(f"{found[0].name} has sha256 {digest}..., expected {SOURCES[pattern]}...")
    return found[0]


def protobuf_fields(buffer: bytes):
    """Yield (field number, value) of one protobuf message; enough of the wire format for a mesh
    file."""
    position = 0

    def varint() -> int:
        nonlocal position
        result = shift = 0
        while True:
            byte = buffer[position]
            position += 1
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    while position < len(buffer):
        key = varint()
        field, wire = key >> 3, key & 7
        if wire == 0:
            yield field, varint()
        elif wire == 5:
            yield field, struct.unpack("<f", buffer[position : position + 4])[0]
            position += 4
        elif wire == 2:
            length = varint()
            yield field, buffer[position : position + length]
            position += length
        else:
            raise ValueError(f"wire type {wire} does not occur in this file")


def canonical_face(binarypb: bytes) -> dict:
    """Read vertices (468, 3) in mm on OpenFace's axes, Procrustes weights (468,) and triangles
    (898, 3)."""
    vertices, triangles, weights = [], [], np.zeros(468, np.float32)
    for _, value in protobuf_fields(binarypb):
        if not isinstance(value, bytes):
            continue
        fields = list(protobuf_fields(value))
        if len(value) > 1000:  # the mesh: field 3 vertex buffer (x y z u v), field 4 index buffer
            for field, entry in fields:
                if field == 3:
                    vertices += (
                        np.frombuffer(entry, "<f4").tolist()
                        if isinstance(entry, bytes)
                        else [entry]
                    )
                if field == 4:
                    triangles += packed_varints(entry) if isinstance(entry, bytes) else [entry]
        else:
            basis = dict(fields)  # one landmark of the Procrustes basis: index, weight
            weights[basis.get(1, 0)] = basis.get(2, 0.0)
    xyz = np.array(vertices, np.float32).reshape(-1, 5)[:, :3]
    # centimetres, y up, z towards the camera -> millimetres, y down, z away from the camera
    xyz = xyz * np.array([10, -10, -10], np.float32)
    return {
        "vertices": xyz,
        "weights": weights,
        "triangles": np.array(triangles, np.uint16).reshape(-1, 3),
    }


def packed_varints(buffer: bytes) -> list:
    values, result, shift = [], 0, 0
    for byte in buffer:
        result |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(result)
            result = shift = 0
    return values


def face_resnet(manifest: list, weights: bytes) -> dict:
    """Keep dlib's weights as the published bytes: uint8 `name` and float32 `name.range` = (minimum,
    step).

    Only the layout changes: TensorFlow's (kh, kw, in, out) becomes torch's (out, in, kh, kw).
    """
    tensors, offset = {}, 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        shape, quantization = entry["shape"], entry.get("quantization")
        # the last matrix is float
        kind = np.dtype(quantization["dtype"] if quantization else "<f4")
        count = int(np.prod(shape))
        values = np.frombuffer(weights, kind, count, offset).reshape(shape)
        offset += count * kind.itemsize
        if entry["name"].endswith("filters"):
            values = values.transpose(3, 2, 0, 1)
        name = entry["name"].replace("/", ".")
        tensors[name] = torch.tensor(np.ascontiguousarray(values))
        if quantization:
            tensors[name + ".range"] = torch.tensor([quantization["min"], quantization["scale"]])
    assert offset == len(weights)
    return tensors


def main(folder: Path) -> None:
    MODELS.mkdir(parents=True, exist_ok=True)
    wheel, mesh, api = (source(folder, pattern) for pattern in SOURCES)
    with zipfile.ZipFile(wheel) as archive:
        for member in ("face_landmark/face_landmark", "face_detection/face_detection_short_range"):
            data = archive.read(f"mediapipe/modules/{member}.tflite")
            (MODELS / f"{Path(member).name}.tflite").write_bytes(data)
        (MODELS / "LICENSE-mediapipe.txt").write_bytes(
            archive.read("mediapipe-0.10.14.dist-info/LICENSE")
        )
    with tarfile.open(mesh) as archive:
        # offsets of geometry_pipeline_metadata_landmarks.binarypb, as the package's own loader
        # lists them
        packed = archive.extractfile("package/face_mesh_solution_packed_assets.data").read()
        np.savez_compressed(
            MODELS / "canonical_face.npz", **canonical_face(packed[3737848:3757224])
        )
    with tarfile.open(api) as archive:
        stem = "package/model/face_recognition_model"
        manifest = json.load(archive.extractfile(f"{stem}-weights_manifest.json"))
        tensors = face_resnet(manifest, archive.extractfile(f"{stem}.bin").read())
        save_file(
            tensors,
            MODELS / "face_resnet.safetensors",
            {"format": "uint8 affine: value * step + minimum"},
        )
        (MODELS / "LICENSE-face-api.txt").write_bytes(archive.extractfile("package/LICENSE").read())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
