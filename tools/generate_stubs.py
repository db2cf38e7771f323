"""Generates the Python stubs in `libs/sdk` from `protos`, and the descriptor image that buf reads.

    python -m tools.generate_stubs            write libs/sdk/{tally,buf}
    python -m tools.generate_stubs --check    exit 1 if what is committed differs from what the protos generate
    python -m tools.generate_stubs --image F  write the descriptor image that buf lints and compares to F
    … --image F --without-comments            the same, small enough to commit: the API that must not break

Nothing is vendored: protovalidate's wheel carries the descriptor of `buf/validate/validate.proto`, so a descriptor
set is written from it and handed to protoc, which generates that stub too.
"""

import argparse
import filecmp
import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from google.rpc import status_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
SDK = ROOT / "libs" / "sdk"
GENERATED = ("tally", "buf")
VALIDATE = "buf/validate/validate.proto"
# buf's ImageFile: field 8042 `buf_extension` with `is_import = true`; buf neither lints nor compares such a file.
IS_IMPORT = bytes((0xD2, 0xF6, 0x03, 0x02, 0x08, 0x01))


def proto_files(protos: Path = PROTOS) -> list[str]:
    return sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))


def write_validate_descriptors(target: Path) -> None:
    """Writes protovalidate's descriptor and what it imports as a FileDescriptorSet."""
    known = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, timestamp_pb2, field_mask_pb2):
        module.DESCRIPTOR.CopyToProto(known.file.add())
    known.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    target.write_bytes(known.SerializeToString())


def run_protoc(*arguments: str, protos: Path = PROTOS) -> None:
    well_known = str(files("grpc_tools") / "_proto")
    googleapis = str(Path(status_pb2.__file__).parents[2])
    scripts = Path(sys.executable).parent  # the plugins stand beside the interpreter, PATH or not
    plugins = [f"--plugin={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    with tempfile.TemporaryDirectory() as scratch:
        descriptors = Path(scratch) / "validate.binpb"
        write_validate_descriptors(descriptors)
        status = protoc.main(
            [
                "protoc",
                *(f"-I{folder}" for folder in (protos, well_known, googleapis)),
                f"--descriptor_set_in={descriptors}",
                *plugins,
                *arguments,
            ]
        )
    if status:
        sys.exit(status)


def generate(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    run_protoc(f"--python_out={target}", f"--mypy_out=quiet:{target}", *proto_files(), VALIDATE)
    run_protoc(f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}", *proto_files())
    for package in GENERATED:
        (target / package / "py.typed").touch()


def write_image(target: Path, protos: Path = PROTOS, comments: bool = True) -> None:
    """Writes what `buf build` would, without a network: the files of `protos`, and what they import, marked."""
    ours = proto_files(protos)
    source = ["--include_source_info"] if comments else []
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / "image.binpb"
        run_protoc(f"--descriptor_set_out={written}", "--include_imports", *source, *ours, protos=protos)
        image = descriptor_pb2.FileDescriptorSet.FromString(written.read_bytes())
    for file in image.file:
        if file.name not in ours:
            file.MergeFromString(IS_IMPORT)
    target.parent.mkdir(parents=True, exist_ok=True)
    content = image.SerializeToString(deterministic=True)
    target.write_bytes(gzip.compress(content, mtime=0) if target.suffix == ".gz" else content)


def relative_files(root: Path) -> Iterator[Path]:
    for package in GENERATED:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root)


def differences(fresh: Path) -> list[str]:
    wanted, present = set(relative_files(fresh)), set(relative_files(SDK))
    changed = {path for path in wanted & present if not filecmp.cmp(fresh / path, SDK / path, shallow=False)}
    return sorted(str(path) for path in (wanted ^ present) | changed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--without-comments", action="store_true")
    options = parser.parse_args()
    if options.image:
        write_image(options.image, comments=not options.without_comments)
    elif options.check:
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder))
            stale = differences(Path(folder))
        if stale:
            sys.exit("stubs differ from what the protos generate (run `make generate`):\n  " + "\n  ".join(stale))
        print(f"stubs equal what {len(proto_files())} protos generate")
    else:
        for package in GENERATED:
            shutil.rmtree(SDK / package, ignore_errors=True)
        generate(SDK)


if __name__ == "__main__":
    main()
