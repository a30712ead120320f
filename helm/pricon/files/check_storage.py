"""`helm test`: pods of runs may write, read, list and delete below `storage.output`."""

import socket
from pathlib import Path

from ruamel.yaml import YAML

from pricon.spec.profile import ClusterProfile
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage

PROFILE = Path("/profile/profile.yaml")


def main() -> None:
    document = YAML(typ="safe", pure=True).load(PROFILE.read_text(encoding="utf-8"))
    place = ClusterProfile.model_validate(document).storage
    spec = StorageSpec(endpoint_url=place.endpoint_url, region=place.region)
    output = open_storage(place.output, spec)
    name = f".helm-test-{socket.gethostname()}"
    output.write(name, b"written by helm test")
    assert output.read(name) == b"written by helm test", "other bytes came back"
    assert name in output.list(name), "what was written is not listed"
    output.delete(name)
    assert not output.exists(name), "what was deleted is still there"
    corpora = open_storage(place.corpora, spec).list()
    print(f"{place.output}: written, read, listed, deleted")
    print(f"{place.corpora}: {len(corpora)} objects")


if __name__ == "__main__":
    main()
